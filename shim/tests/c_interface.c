/*
 * The C interface from C: statuses, buffers, copies, the graph helpers, a step and an optimizer step
 * against numbers worked out by hand. Ends with 0 if all is right.
 */
#include <onestep_graph.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* A copy of a node: the array moves with each call. */
static onestep_node node_of(onestep_writer *w, uint32_t value) {
  onestep_node *node = onestep_writer_node(w, value);
  return node ? *node : (onestep_node){0};
}

/* The shapes that the helpers work out, and the first mistake, which is kept. */
static void test_writer(void) {
  onestep_writer w = {0};
  const int64_t x_dims[4] = {2, 3, 9, 8}, k_dims[4] = {4, 3, 3, 2}, size[2] = {2, 3};
  const onestep_window window = {{2, 1}, {1, 0}, {0, 1}, {1, 2}};
  uint32_t x = onestep_write_feed(&w, 0, ONESTEP_F32, 4, x_dims);
  uint32_t k = onestep_write_state(&w, 0, 0, 4, k_dims);
  const int64_t conv_dims[4] = {2, 4, 4, 7}, pool_dims[4] = {2, 3, 5, 5};
  onestep_node conv = node_of(&w, onestep_write_conv(&w, x, k, &window, 1));
  expect(conv.rank == 4 && !memcmp(conv.dims, conv_dims, sizeof conv_dims), "a convolution's shape");
  onestep_node pool = node_of(&w, onestep_write_pool(&w, ONESTEP_OP_MAX_POOL, x, size, &window));
  expect(pool.rank == 4 && !memcmp(pool.dims, pool_dims, sizeof pool_dims), "a pooling's shape");
  const int64_t row_dims[2] = {1, 8}, column_dims[3] = {5, 7, 1};
  uint32_t row = onestep_write_feed(&w, 1, ONESTEP_F32, 2, row_dims);
  uint32_t column = onestep_write_feed(&w, 2, ONESTEP_F32, 3, column_dims);
  onestep_node sum = node_of(&w, onestep_write_binary(&w, ONESTEP_OP_ADD, row, column));
  expect(sum.rank == 3 && sum.dims[0] == 5 && sum.dims[1] == 7 && sum.dims[2] == 8, "broadcasting");
  onestep_node product = node_of(&w, onestep_write_matmul(&w, row, 1, row, 0));
  expect(product.dims[0] == 8 && product.dims[1] == 8, "a product's shape");
  for (int i = 0; i < 1000; i++) x = onestep_write_unary(&w, ONESTEP_OP_RELU, x);
  expect(w.nodes[x].rank == 4 && w.nodes[x].dims[3] == 8, "a shape kept through a growing graph");
  expect(onestep_writer_graph(&w).node_count > 1000 && !w.error, "a large graph");
  expect(onestep_write_matmul(&w, row, 0, row, 0) == ONESTEP_NO_VALUE, "a product that does not fit");
  expect(w.error && strstr(w.error, "product"), "its words");
  expect(onestep_write_mean(&w, row) == ONESTEP_NO_VALUE, "nothing after a mistake");
  expect(onestep_writer_graph(&w).nodes == NULL && strstr(w.error, "product"), "the first is kept");
  onestep_writer_free(&w);
}

/* Everything that describes a program and a step is gone or overwritten when its call has returned:
 * y = 2 x + 1 still comes out. */
static void test_lifetimes(onestep_device *device, onestep_queue *queue) {
  const float data[3] = {1, -2, 4};
  const int64_t dims[1] = {3};
  onestep_writer w = {0};
  uint32_t x = onestep_write_feed(&w, 0, ONESTEP_F32, 1, dims);
  uint32_t twice = onestep_write_binary(&w, ONESTEP_OP_MUL, onestep_write_number(&w, 2), x);
  uint32_t y = onestep_write_binary(&w, ONESTEP_OP_ADD, twice, onestep_write_scalar(&w, 0));
  onestep_graph graph = onestep_writer_graph(&w);
  onestep_output output = {.value = y};
  onestep_program_args args = {.struct_bytes = sizeof args, .queue = queue, .graph = &graph,
                               .outputs = &output, .output_count = 1, .feed_count = 1,
                               .scalar_count = 1, .mode = ONESTEP_INFER};
  succeeds(onestep_program_compile(&args), "a program");
  memset((void *)w.nodes[twice].inputs, 0xff, 8);
  for (uint32_t i = 0; i < w.count; i++) {
    if (w.nodes[i].data) memset((void *)w.nodes[i].data, 0xff, w.nodes[i].data_bytes);
  }
  onestep_writer_free(&w);
  memset(&output, 0xff, sizeof output);

  onestep_buffer *feed = buffer_of(device, data, 3, ONESTEP_STORAGE_SHARED);
  onestep_buffer *feeds[1] = {feed};
  float one = 1, back[3] = {0};
  onestep_step_args step = {.struct_bytes = sizeof step, .program = args.program, .feeds = feeds,
                            .feed_count = 1, .scalars = &one, .scalar_count = 1};
  succeeds(onestep_execute_inference(&step), "a step");
  one = 1000;
  feeds[0] = NULL;
  onestep_buffer_release(feed);
  succeeds(onestep_queue_wait_idle(queue), "its end");
  onestep_buffer *result = NULL;
  succeeds(onestep_program_output(args.program, 0, &result), "its output");
  succeeds(onestep_buffer_read(result, 0, back, sizeof back), "what is in it");
  expect(near(back[0], 3) && near(back[1], -3) && near(back[2], 9), "2 x + 1");
  onestep_buffer_release(result);
  onestep_program_release(args.program);
}

/* The gradient of sum(max(x w, 0)) in w is x where x w is positive, and that in a value without any
 * part in it is 0. */
static void test_gradients(onestep_device *device, onestep_queue *queue) {
  const float x_data[3] = {1, -2, 4}, w_data[3] = {2, 2, -1};
  const int64_t dims[1] = {3};
  const uint32_t axis = 0;
  onestep_writer w = {0};
  uint32_t x = onestep_write_feed(&w, 0, ONESTEP_F32, 1, dims);
  uint32_t weight = onestep_write_state(&w, 0, 0, 1, dims);
  uint32_t other = onestep_write_state(&w, 1, 0, 1, dims);
  uint32_t product = onestep_write_binary(&w, ONESTEP_OP_MUL, x, weight);
  uint32_t positive = onestep_write_unary(&w, ONESTEP_OP_RELU, product);
  uint32_t sum = onestep_write_reduce(&w, ONESTEP_OP_REDUCE_SUM, positive, 1, &axis);
  uint32_t loss = onestep_write_reshape(&w, sum, 0, NULL);
  const uint32_t values[2] = {weight, other};
  uint32_t gradients[2] = {0};
  fails(onestep_write_gradients(&w, product, values, 2, gradients), ONESTEP_INVALID_ARGUMENT,
        "the loss", "a loss that is no scalar");
  expect(w.error != NULL, "it is a mistake of the graph");
  w.error = NULL;
  succeeds(onestep_write_gradients(&w, loss, values, 2, gradients), "a backward pass");
  onestep_graph graph = onestep_writer_graph(&w);
  onestep_buffer *buffers[3] = {buffer_of(device, w_data, 3, ONESTEP_STORAGE_SHARED),
                                buffer_of(device, w_data, 3, ONESTEP_STORAGE_SHARED),
                                buffer_of(device, x_data, 3, ONESTEP_STORAGE_SHARED)};
  onestep_state states[2] = {{.buffer = buffers[0], .new_value = gradients[0]},
                             {.buffer = buffers[1], .new_value = gradients[1]}};
  onestep_program_args args = {.struct_bytes = sizeof args, .queue = queue, .graph = &graph,
                               .states = states, .state_count = 2, .feed_count = 1,
                               .reports = &loss, .report_count = 1};
  succeeds(onestep_program_compile(&args), "a program that trains");
  onestep_writer_free(&w);
  onestep_step_args step = {.struct_bytes = sizeof step, .program = args.program,
                            .feeds = &buffers[2], .feed_count = 1};
  succeeds(onestep_execute_training_step(&step), "a step");
  succeeds(onestep_queue_wait_idle(queue), "its end");
  float back[3] = {0};
  succeeds(onestep_buffer_read(buffers[0], 0, back, sizeof back), "the gradient");
  expect(back[0] == 1 && back[1] == 0 && back[2] == 0, "x where x w is positive");
  succeeds(onestep_buffer_read(buffers[1], 0, back, sizeof back), "the other gradient");
  expect(back[0] == 0 && back[1] == 0 && back[2] == 0, "none");
  onestep_program_release(args.program);
  for (int i = 0; i < 3; i++) onestep_buffer_release(buffers[i]);
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
  test_writer();
  test_lifetimes(device, queue);
  test_gradients(device, queue);
  test_adam(device, queue);
  onestep_queue_release(queue);
  onestep_device_release(device);
  if (!failures) printf("all right\n");
  return failures != 0;
}
