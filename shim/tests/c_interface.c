/*
 * The C interface from C: statuses, buffers, copies, a training step and an optimizer step against
 * numbers worked out by hand. Ends with 0 if all is right.
 */
#include <onestep.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph_writer.h"

static int failures = 0;

static void expect(int holds, const char *what) {
  if (holds) return;
  failures++;
  fprintf(stderr, "FAILED: %s\n", what);
}

/* The call succeeds. */
static void succeeds(onestep_status *status, const char *what) {
  expect(status == NULL, what);
  if (status) fprintf(stderr, "  %s\n", onestep_status_message(status));
  onestep_status_release(status);
}

/* The call fails with a code, and its message holds a text. */
static void fails(onestep_status *status, int32_t code, const char *text, const char *what) {
  expect(onestep_status_code(status) == code, what);
  expect(strstr(onestep_status_message(status), text) != NULL, what);
  if (!strstr(onestep_status_message(status), text)) {
    fprintf(stderr, "  wanted \"%s\" in \"%s\"\n", text, onestep_status_message(status));
  }
  onestep_status_release(status);
}

static int near(float a, float b) { return fabsf(a - b) <= 1e-6f * (1 + fabsf(b)); }

static onestep_buffer *buffer_of(onestep_device *device, const float *data, uint64_t count,
                                 uint32_t storage) {
  onestep_buffer *buffer = NULL;
  succeeds(onestep_buffer_create(device, count * 4, storage, &buffer), "a buffer");
  succeeds(onestep_buffer_write(buffer, 0, data, count * 4), "its contents");
  return buffer;
}

static void test_statuses(onestep_device *device) {
  onestep_buffer *buffer = NULL;
  onestep_device *none = NULL;
  fails(onestep_device_open(1000, &none), ONESTEP_NO_DEVICE, "1000", "no such device");
  fails(onestep_device_open(0, NULL), ONESTEP_INVALID_ARGUMENT, "NULL", "no out pointer");
  fails(onestep_buffer_create(device, 0, 0, &buffer), ONESTEP_INVALID_ARGUMENT, "0", "no bytes");
  fails(onestep_buffer_create(device, 8, 7, &buffer), ONESTEP_INVALID_ARGUMENT, "7", "no storage");
  fails(onestep_buffer_create(device, UINT64_MAX / 2, 0, &buffer), ONESTEP_OUT_OF_MEMORY, "bytes",
        "no room");
  fails(onestep_buffer_create(NULL, 8, 0, &buffer), ONESTEP_INVALID_ARGUMENT, "NULL", "no device");
  expect(buffer == NULL, "a failed call leaves NULL");
  onestep_device_info info = {.struct_bytes = 3};
  fails(onestep_device_get_info(device, &info), ONESTEP_INVALID_ARGUMENT, "version", "a wrong size");
  info.struct_bytes = sizeof info;
  succeeds(onestep_device_get_info(device, &info), "a description");
  expect(info.name[0] && info.max_buffer_bytes > 0, "it says something");
  expect(onestep_status_code(NULL) == ONESTEP_OK, "NULL is success");
  onestep_status_release(NULL);
  onestep_buffer_release(NULL);
  expect(onestep_abi_version() == ONESTEP_ABI_VERSION, "the version");
  expect(!strcmp(onestep_op_name(ONESTEP_OP_CONV), "CONV"), "the name of an op");
  expect(onestep_op_name(9999) == NULL, "no op");
}

static void test_buffers(onestep_device *device) {
  const float data[4] = {1, 2, 3, 4};
  for (uint32_t storage = 0; storage < 2; storage++) {
    float back[4] = {0};
    onestep_buffer *buffer = buffer_of(device, data, 4, storage);
    expect(onestep_buffer_bytes(buffer) == 16, "the size asked for");
    expect((onestep_buffer_contents(buffer) == NULL) == (storage == 1), "who sees it");
    succeeds(onestep_buffer_write(buffer, 4, &data[3], 4), "a part written");
    succeeds(onestep_buffer_read(buffer, 0, back, 16), "all read");
    expect(back[0] == 1 && back[1] == 4 && back[3] == 4, "the contents");
    succeeds(onestep_buffer_fill(buffer, 8, 8, 0), "a part filled");
    succeeds(onestep_buffer_read(buffer, 8, back, 8), "a part read");
    expect(back[0] == 0 && back[1] == 0, "what was filled");
    fails(onestep_buffer_read(buffer, 12, back, 8), ONESTEP_INVALID_ARGUMENT, "16", "beyond the end");
    onestep_buffer_release(buffer);
  }
}

static void test_copy(onestep_device *device, onestep_queue *queue) {
  const float data[4] = {1, 2, 3, 4};
  float back[4] = {0};
  onestep_buffer *from = buffer_of(device, data, 4, ONESTEP_STORAGE_SHARED);
  onestep_buffer *to = buffer_of(device, back, 4, ONESTEP_STORAGE_PRIVATE);
  onestep_copy copy = {from, 4, to, 0, 12};
  onestep_copy_args args = {.struct_bytes = sizeof args, .queue = queue, .copies = &copy,
                            .copy_count = 1, .want_ticket = 1};
  onestep_ticket_result result = {.struct_bytes = sizeof result};
  succeeds(onestep_queue_copy(&args), "a copy");
  succeeds(onestep_ticket_wait(args.ticket, 60000, &result), "its end");
  expect(result.done && result.value_count == 0, "its result");
  succeeds(onestep_buffer_read(to, 0, back, 16), "what was copied");
  expect(back[0] == 2 && back[2] == 4 && back[3] == 0, "the right part");
  copy.bytes = 13;
  fails(onestep_queue_copy(&args), ONESTEP_INVALID_ARGUMENT, "16 bytes", "too long a copy");
  onestep_ticket_release(args.ticket);
  onestep_buffer_release(from);
  onestep_buffer_release(to);
}

/* Two Adam steps of one number with gradient 0.5: each is lr in size. */
static void test_adam(onestep_device *device, onestep_queue *queue) {
  const float zero = 0, one = 1, half = 0.5f;
  onestep_optimizer_tensor tensor = {
      .parameter = buffer_of(device, &one, 1, ONESTEP_STORAGE_SHARED),
      .gradient = buffer_of(device, &half, 1, ONESTEP_STORAGE_SHARED),
      .states = {buffer_of(device, &zero, 1, ONESTEP_STORAGE_SHARED),
                 buffer_of(device, &zero, 1, ONESTEP_STORAGE_SHARED)},
      .elements = 1,
  };
  for (uint64_t step = 1; step <= 2; step++) {
    onestep_adam_args args = {
        .struct_bytes = sizeof args,
        .call = {.queue = queue, .tensors = &tensor, .tensor_count = 1, .step = step, .lr = 0.1},
        .beta1 = 0.9,
        .beta2 = 0.999,
        .eps = 0,
    };
    succeeds(onestep_adam_step(&args), "an Adam step");
  }
  succeeds(onestep_queue_wait_idle(queue), "their end");
  float value = 0;
  succeeds(onestep_buffer_read(tensor.parameter, 0, &value, 4), "the parameter");
  expect(fabsf(value - 0.8f) < 1e-5f, "two steps of size lr");
  succeeds(onestep_buffer_read(tensor.states[0], 0, &value, 4), "the first moment");
  expect(near(value, 0.9f * 0.05f + 0.05f), "the first moment's value");
  onestep_adam_args bad = {.struct_bytes = sizeof bad,
                           .call = {.queue = queue, .tensors = &tensor, .tensor_count = 1}};
  fails(onestep_adam_step(&bad), ONESTEP_INVALID_ARGUMENT, "from 1", "step 0");
  onestep_buffer_release(tensor.parameter);
  onestep_buffer_release(tensor.gradient);
  onestep_buffer_release(tensor.states[0]);
  onestep_buffer_release(tensor.states[1]);
}

int main(void) {
  onestep_device *device = NULL;
  onestep_queue *queue = NULL;
  succeeds(onestep_device_open(0, &device), "a device");
  if (!device) return 1;
  succeeds(onestep_queue_create(device, 2, &queue), "a queue");
  test_statuses(device);
  test_buffers(device);
  test_copy(device, queue);
  test_adam(device, queue);
  onestep_queue_release(queue);
  onestep_device_release(device);
  if (!failures) printf("all right\n");
  return failures != 0;
}
