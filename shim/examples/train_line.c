/*
 * Fits y = w x + b to points on a line by gradient descent, in plain C. Shows the whole life of a
 * program: describe a step, compile it once, submit steps that return before they are done, and read
 * the loss when it is there. The backward pass is written by hand; classify.c asks the library for it.
 */
#include <onestep_graph.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { kPoints = 16, kSteps = 200 };
static const float kSlope = 3.0f, kOffset = -2.0f;

/* Ends the program with the library's own words. */
static void check(onestep_status *status, const char *what) {
  if (!status) return;
  fprintf(stderr, "%s: %s\n", what, onestep_status_message(status));
  onestep_status_release(status);
  exit(1);
}

/* What a step is made of: the loss and the new parameters, w and then b. */
typedef struct line_step {
  uint32_t loss, parameters;
} line_step;

/* The loss is mean((x w + b - y)^2). With e = x w + b - y its gradients are 2/n x^T e and 2/n sum(e),
 * and both parameters move against them by the learning rate. */
static line_step write_step(onestep_writer *g) {
  const int64_t points[2] = {kPoints, 1}, one[2] = {1, 1}, two[1] = {2};
  const uint32_t rows = 0;
  uint32_t x = onestep_write_feed(g, 0, ONESTEP_F32, 2, points);
  uint32_t y = onestep_write_feed(g, 1, ONESTEP_F32, 2, points);
  uint32_t w = onestep_write_state(g, 0, 0, 2, one);
  uint32_t b = onestep_write_state(g, 0, 1, 2, one);
  uint32_t guess = onestep_write_binary(g, ONESTEP_OP_ADD, onestep_write_matmul(g, x, 0, w, 0), b);
  uint32_t error = onestep_write_binary(g, ONESTEP_OP_SUB, guess, y);
  line_step step;
  step.loss = onestep_write_mean(g, onestep_write_binary(g, ONESTEP_OP_MUL, error, error));

  uint32_t parts[2];
  parts[0] = onestep_write_matmul(g, x, 1, error, 0);
  parts[1] = onestep_write_reduce(g, ONESTEP_OP_REDUCE_SUM, error, 1, &rows);
  for (int i = 0; i < 2; i++) parts[i] = onestep_write_reshape(g, parts[i], 1, one);
  uint32_t gradient = onestep_write(g, ONESTEP_OP_CONCAT, ONESTEP_F32, 1, two, 2, parts);
  uint32_t scale = onestep_write_binary(g, ONESTEP_OP_MUL, onestep_write_scalar(g, 0),
                                        onestep_write_number(g, 2.0f / kPoints));
  uint32_t change = onestep_write_binary(g, ONESTEP_OP_MUL, scale, gradient);
  uint32_t old = onestep_write_state(g, 0, 0, 1, two);
  step.parameters = onestep_write_binary(g, ONESTEP_OP_SUB, old, change);
  return step;
}

static onestep_program *compile(onestep_queue *queue, onestep_buffer *parameters) {
  onestep_writer writer = {0};
  line_step step = write_step(&writer);
  const onestep_graph graph = onestep_writer_graph(&writer);
  const onestep_state state = {.buffer = parameters, .new_value = step.parameters};
  onestep_program_args args = {
      .struct_bytes = sizeof args,
      .queue = queue,
      .graph = &graph,
      .states = &state,
      .state_count = 1,
      .reports = &step.loss,
      .report_count = 1,
      .feed_count = 2,
      .scalar_count = 1,
      .mode = ONESTEP_TRAIN,
  };
  check(onestep_program_compile(&args), "compile");
  onestep_writer_free(&writer); /* the program has copied what it needs */
  return args.program;
}

static onestep_buffer *new_buffer(onestep_device *device, const float *data, uint64_t count) {
  onestep_buffer *buffer = NULL;
  check(onestep_buffer_create(device, count * sizeof *data, ONESTEP_STORAGE_SHARED, &buffer),
        "buffer");
  check(onestep_buffer_write(buffer, 0, data, count * sizeof *data), "write");
  return buffer;
}

/* Submits all steps. Only the last ticket is waited for. */
static float train(onestep_program *program, onestep_buffer *x, onestep_buffer *y) {
  onestep_buffer *const feeds[2] = {x, y};
  onestep_ticket_result result = {.struct_bytes = sizeof result};
  for (int i = 1; i <= kSteps; i++) {
    const float lr = 0.5f;
    onestep_step_args step = {
        .struct_bytes = sizeof step,
        .program = program,
        .feeds = feeds,
        .feed_count = 2,
        .scalars = &lr,
        .scalar_count = 1,
        .step = (uint64_t)i,
        .want_ticket = i == 1 || i == kSteps,
    };
    check(onestep_execute_training_step(&step), "step");
    if (!step.ticket) continue;
    check(onestep_ticket_wait(step.ticket, 60000, &result), "wait");
    printf("step %3d: loss %g\n", i, result.values[0]);
    onestep_ticket_release(step.ticket);
  }
  return result.values[0];
}

int main(void) {
  onestep_device *device = NULL;
  onestep_queue *queue = NULL;
  check(onestep_device_open(0, &device), "device");
  check(onestep_queue_create(device, 0, &queue), "queue");
  float x[kPoints], y[kPoints], learned[2] = {0, 0};
  for (int i = 0; i < kPoints; i++) {
    x[i] = (float)i / kPoints * 2 - 1;
    y[i] = kSlope * x[i] + kOffset;
  }
  onestep_buffer *parameters = new_buffer(device, learned, 2);
  onestep_buffer *inputs = new_buffer(device, x, kPoints);
  onestep_buffer *targets = new_buffer(device, y, kPoints);
  onestep_program *program = compile(queue, parameters);
  float loss = train(program, inputs, targets);
  check(onestep_buffer_read(parameters, 0, learned, sizeof learned), "read");
  printf("y = %.4f x + %.4f\n", learned[0], learned[1]);

  onestep_program_release(program);
  onestep_buffer_release(parameters);
  onestep_buffer_release(inputs);
  onestep_buffer_release(targets);
  onestep_queue_release(queue);
  onestep_device_release(device);
  int right = loss < 1e-6f && fabsf(learned[0] - kSlope) < 1e-3f &&
              fabsf(learned[1] - kOffset) < 1e-3f;
  return right ? 0 : 1;
}
