/*
 * Two spirals told apart by a small network with cross-entropy and Adam, in plain C: the forward pass
 * is written by hand, the backward pass by onestep_write_gradients, the update again by hand on flat
 * buffers. Adam's moments are states of the program like the parameters.
 */
#include <onestep_graph.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { kPoints = 128, kHidden = 32, kClasses = 2, kSteps = 400 };
/* Where each parameter begins in the flat buffer. */
enum {
  kWeight1 = 0,
  kBias1 = kWeight1 + 2 * kHidden,
  kWeight2 = kBias1 + kHidden,
  kBias2 = kWeight2 + kHidden * kClasses,
  kParameters = kBias2 + kClasses
};

/* Ends the program with the library's own words. */
static void check(onestep_status *status, const char *what) {
  if (!status) return;
  fprintf(stderr, "%s: %s\n", what, onestep_status_message(status));
  onestep_status_release(status);
  exit(1);
}

static uint32_t binary(onestep_writer *g, uint32_t op, uint32_t a, uint32_t b) {
  return onestep_write_binary(g, op, a, b);
}

/* x w + b */
static uint32_t dense(onestep_writer *g, uint32_t x, uint32_t w, uint32_t b) {
  return binary(g, ONESTEP_OP_ADD, onestep_write_matmul(g, x, 0, w, 0), b);
}

/* The four parameters, and the loss and the gradients as one vector in their order. */
static uint32_t write_loss(onestep_writer *g, uint32_t *gradient) {
  const int64_t x_dims[2] = {kPoints, 2}, label_dims[1] = {kPoints};
  const int64_t w1[2] = {2, kHidden}, b1[1] = {kHidden}, w2[2] = {kHidden, kClasses};
  const int64_t b2[1] = {kClasses}, all[1] = {kParameters};
  uint32_t x = onestep_write_feed(g, 0, ONESTEP_F32, 2, x_dims);
  uint32_t labels = onestep_write_feed(g, 1, ONESTEP_I32, 1, label_dims);
  const uint32_t values[4] = {
      onestep_write_state(g, 0, kWeight1, 2, w1), onestep_write_state(g, 0, kBias1, 1, b1),
      onestep_write_state(g, 0, kWeight2, 2, w2), onestep_write_state(g, 0, kBias2, 1, b2)};
  uint32_t hidden = dense(g, x, values[0], values[1]);
  hidden = onestep_write_unary(g, ONESTEP_OP_TANH, hidden);
  uint32_t logits = dense(g, hidden, values[2], values[3]);
  uint32_t loss = onestep_write_mean(g, onestep_write_cross_entropy(g, logits, labels));
  uint32_t parts[4];
  check(onestep_write_gradients(g, loss, values, 4, parts), "differentiate");
  const int64_t sizes[4] = {2 * kHidden, kHidden, kHidden * kClasses, kClasses};
  for (int i = 0; i < 4; i++) parts[i] = onestep_write_reshape(g, parts[i], 1, &sizes[i]);
  *gradient = onestep_write(g, ONESTEP_OP_CONCAT, ONESTEP_F32, 1, all, 4, parts);
  return loss;
}

/* Adam on state 0 with its moments in states 1 and 2. Scalars: lr / (1 - beta1^t) and
 * 1 / (1 - beta2^t). */
static void write_adam(onestep_writer *g, uint32_t gradient, onestep_state *states) {
  const int64_t all[1] = {kParameters};
  uint32_t square = binary(g, ONESTEP_OP_MUL, gradient, gradient);
  const uint32_t fresh[2] = {gradient, square};
  const float keep[2] = {0.9f, 0.999f};
  uint32_t moments[2];
  for (int i = 0; i < 2; i++) {
    uint32_t old = binary(g, ONESTEP_OP_MUL, onestep_write_state(g, i + 1, 0, 1, all),
                          onestep_write_number(g, keep[i]));
    uint32_t add = binary(g, ONESTEP_OP_MUL, fresh[i], onestep_write_number(g, 1 - keep[i]));
    moments[i] = states[i + 1].new_value = binary(g, ONESTEP_OP_ADD, old, add);
  }
  uint32_t variance = binary(g, ONESTEP_OP_MUL, moments[1], onestep_write_scalar(g, 1));
  uint32_t root = binary(g, ONESTEP_OP_ADD, onestep_write_unary(g, ONESTEP_OP_SQRT, variance),
                         onestep_write_number(g, 1e-8f));
  uint32_t change = binary(g, ONESTEP_OP_MUL, onestep_write_scalar(g, 0),
                           binary(g, ONESTEP_OP_DIV, moments[0], root));
  uint32_t old = onestep_write_state(g, 0, 0, 1, all);
  states[0].new_value = binary(g, ONESTEP_OP_SUB, old, change);
}

static onestep_program *compile(onestep_queue *queue, onestep_state *states) {
  onestep_writer writer = {0};
  uint32_t gradient = ONESTEP_NO_VALUE;
  uint32_t loss = write_loss(&writer, &gradient);
  write_adam(&writer, gradient, states);
  if (writer.error) fprintf(stderr, "graph: %s\n", writer.error);
  const onestep_graph graph = onestep_writer_graph(&writer);
  onestep_program_args args = {
      .struct_bytes = sizeof args,
      .queue = queue,
      .graph = &graph,
      .states = states,
      .state_count = 3,
      .reports = &loss,
      .report_count = 1,
      .feed_count = 2,
      .scalar_count = 2,
      .mode = ONESTEP_TRAIN,
  };
  check(onestep_program_compile(&args), "compile");
  onestep_writer_free(&writer);
  return args.program;
}

static onestep_buffer *new_buffer(onestep_device *device, const void *data, uint64_t bytes) {
  onestep_buffer *buffer = NULL;
  check(onestep_buffer_create(device, bytes, ONESTEP_STORAGE_SHARED, &buffer), "buffer");
  check(onestep_buffer_write(buffer, 0, data, bytes), "write");
  return buffer;
}

/* Two spirals, one turned by half a circle. */
static void make_points(float *x, int32_t *labels) {
  for (int i = 0; i < kPoints; i++) {
    float along = (float)(i / 2) / (kPoints / 2), turn = 4.0f * along;
    labels[i] = i % 2;
    x[2 * i] = (0.2f + along) * cosf(turn + 3.14159265f * (float)labels[i]);
    x[2 * i + 1] = (0.2f + along) * sinf(turn + 3.14159265f * (float)labels[i]);
  }
}

/* Submits all steps and waits for the first and the last. */
static float train(onestep_program *program, onestep_buffer *const *feeds) {
  onestep_ticket_result result = {.struct_bytes = sizeof result};
  for (int t = 1; t <= kSteps; t++) {
    const float scalars[2] = {0.02f / (1 - powf(0.9f, (float)t)),
                              1 / (1 - powf(0.999f, (float)t))};
    onestep_step_args step = {
        .struct_bytes = sizeof step,
        .program = program,
        .feeds = feeds,
        .feed_count = 2,
        .scalars = scalars,
        .scalar_count = 2,
        .step = (uint64_t)t,
        .want_ticket = t == 1 || t == kSteps,
    };
    check(onestep_execute_training_step(&step), "step");
    if (!step.ticket) continue;
    check(onestep_ticket_wait(step.ticket, 60000, &result), "wait");
    printf("step %3d: loss %g\n", t, result.values[0]);
    onestep_ticket_release(step.ticket);
  }
  return result.values[0];
}

int main(void) {
  onestep_device *device = NULL;
  onestep_queue *queue = NULL;
  check(onestep_device_open(0, &device), "device");
  check(onestep_queue_create(device, 0, &queue), "queue");
  static float x[2 * kPoints], first[kParameters], zeros[kParameters];
  static int32_t labels[kPoints];
  make_points(x, labels);
  for (int i = 0; i < kParameters; i++) first[i] = (float)((i * 37 + 11) % 64 - 32) / 32.0f;
  onestep_buffer *buffers[5] = {
      new_buffer(device, first, sizeof first), new_buffer(device, zeros, sizeof zeros),
      new_buffer(device, zeros, sizeof zeros), new_buffer(device, x, sizeof x),
      new_buffer(device, labels, sizeof labels)};
  onestep_state states[3] = {{.buffer = buffers[0]}, {.buffer = buffers[1]}, {.buffer = buffers[2]}};
  onestep_program *program = compile(queue, states);
  float loss = train(program, buffers + 3);

  onestep_program_release(program);
  for (int i = 0; i < 5; i++) onestep_buffer_release(buffers[i]);
  onestep_queue_release(queue);
  onestep_device_release(device);
  return loss < 0.1f ? 0 : 1;
}
