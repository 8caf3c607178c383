/*
 * Writes graphs for onestep.h in C or C++: each call appends a node, works out its shape and returns
 * its index. Only functions in this header; nothing to link besides the library itself.
 *
 *   onestep_writer step = {0};
 *   uint32_t x = onestep_write_feed(&step, 0, ONESTEP_F32, 2, dims);
 *   ...
 *   onestep_write_gradients(&step, loss, weights, 2, gradients);
 *   ...
 *   onestep_graph graph = onestep_writer_graph(&step);
 *   ... onestep_program_compile(&args) ...
 *   onestep_writer_free(&step);
 *
 * Mistakes need no check after each call: the first one is kept in `error`, the call gives
 * ONESTEP_NO_VALUE, what builds on that does nothing, and the graph is empty, which the compiler
 * refuses. What these functions do not work out (which feeds there are, dtypes of an op), the compiler
 * checks and says.
 */
#ifndef ONESTEP_GRAPH_H
#define ONESTEP_GRAPH_H

#include "onestep.h"

#include <stdlib.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A graph that is being written; begins as zeros. */
typedef struct onestep_writer {
  onestep_node *nodes;
  /* The operands of all nodes, one after the other. */
  uint32_t *inputs;
  uint32_t count;
  size_t capacity, input_count, input_capacity;
  /* What went wrong first, for people, or NULL. */
  const char *error;
} onestep_writer;

/* How a convolution or a pooling window moves. A pair is vertical, horizontal. */
typedef struct onestep_window {
  int64_t stride[2];
  /* Before and behind each axis. */
  int64_t before[2], behind[2];
  int64_t dilation[2];
} onestep_window;

/* Keeps the first mistake. */
static inline uint32_t onestep_writer_fail(onestep_writer *w, const char *error) {
  if (!w->error) w->error = error;
  return ONESTEP_NO_VALUE;
}

/* The node of a value, or NULL where the value is none of this graph. It moves with the next node. */
static inline onestep_node *onestep_writer_node(onestep_writer *w, uint32_t value) {
  if (value < w->count) return &w->nodes[value];
  onestep_writer_fail(w, "an operand is no value of this graph");
  return NULL;
}

/* The array with room for `more` elements behind `count`, or NULL where there is no memory. */
static inline void *onestep_writer_grow(onestep_writer *w, void *array, size_t element, size_t count,
                                        size_t more, size_t *capacity) {
  if (more <= *capacity - count) return array;
  size_t wanted = count + more > 2 * *capacity ? count + more : 2 * *capacity;
  void *grown = realloc(array, wanted * element);
  if (grown) *capacity = wanted;
  if (!grown) onestep_writer_fail(w, "no memory for the graph");
  return grown;
}

/* Room for one node and its operands; 0 where there is no memory. */
static inline int onestep_writer_reserve(onestep_writer *w, uint32_t input_count) {
  void *nodes = onestep_writer_grow(w, w->nodes, sizeof *w->nodes, w->count, 1, &w->capacity);
  if (!nodes) return 0;
  w->nodes = (onestep_node *)nodes;
  if (!input_count) return 1;
  void *inputs = onestep_writer_grow(w, w->inputs, sizeof *w->inputs, w->input_count, input_count,
                                     &w->input_capacity);
  if (!inputs) return 0;
  w->inputs = (uint32_t *)inputs;
  return 1;
}

/* Any op with any result, all attributes 0: what the calls below are made of. Attributes are set
 * through onestep_writer_node. */
static inline uint32_t onestep_write(onestep_writer *w, uint32_t op, uint32_t dtype, uint32_t rank,
                                     const int64_t *dims, uint32_t input_count,
                                     const uint32_t *inputs) {
  onestep_node node;
  if (w->error) return ONESTEP_NO_VALUE;
  if (rank > ONESTEP_MAX_RANK) return onestep_writer_fail(w, "more than ONESTEP_MAX_RANK axes");
  for (uint32_t i = 0; i < input_count; i++) {
    if (!onestep_writer_node(w, inputs[i])) return ONESTEP_NO_VALUE;
  }
  memset(&node, 0, sizeof node);
  node.op = op;
  node.dtype = dtype;
  node.rank = rank;
  node.input_count = input_count;
  /* Before the array moves: the shape may be another node's. */
  if (rank) memcpy(node.dims, dims, rank * sizeof *dims);
  if (w->count >= ONESTEP_NO_VALUE / 2) return onestep_writer_fail(w, "too many nodes");
  if (!onestep_writer_reserve(w, input_count)) return ONESTEP_NO_VALUE;
  if (input_count) memcpy(w->inputs + w->input_count, inputs, input_count * sizeof *inputs);
  w->input_count += input_count;
  w->nodes[w->count] = node;
  return w->count++;
}

/* The graph as the compiler takes it: valid until the next node is written or the writer is freed. */
static inline onestep_graph onestep_writer_graph(onestep_writer *w) {
  onestep_graph graph = {NULL, 0};
  const uint32_t *inputs = w->inputs;
  if (w->error) return graph;
  for (uint32_t i = 0; i < w->count; i++) {
    w->nodes[i].inputs = inputs;
    inputs += w->nodes[i].input_count;
  }
  graph.nodes = w->nodes;
  graph.node_count = w->count;
  return graph;
}

/* Frees the graph, which the compiler has copied; the writer is empty again. */
static inline void onestep_writer_free(onestep_writer *w) {
  for (uint32_t i = 0; i < w->count; i++) free((void *)w->nodes[i].data);
  free(w->nodes);
  free(w->inputs);
  memset(w, 0, sizeof *w);
}

/* ---- Leaves ---- */

/* A leaf with two attributes: see ONESTEP_OPS. */
static inline uint32_t onestep_write_leaf(onestep_writer *w, uint32_t op, uint32_t dtype,
                                          uint32_t rank, const int64_t *dims, int64_t first,
                                          int64_t second) {
  uint32_t id = onestep_write(w, op, dtype, rank, dims, 0, NULL);
  if (id != ONESTEP_NO_VALUE) {
    w->nodes[id].ints[0] = first;
    w->nodes[id].ints[1] = second;
  }
  return id;
}

/* What a step is fed. */
static inline uint32_t onestep_write_feed(onestep_writer *w, int64_t index, uint32_t dtype,
                                          uint32_t rank, const int64_t *dims) {
  return onestep_write_leaf(w, ONESTEP_OP_FEED, dtype, rank, dims, index, 0);
}

/* A window of a state's buffer from element `first` on: parameters, or what an optimizer keeps. */
static inline uint32_t onestep_write_state(onestep_writer *w, int64_t index, int64_t first,
                                           uint32_t rank, const int64_t *dims) {
  return onestep_write_leaf(w, ONESTEP_OP_STATE, ONESTEP_F32, rank, dims, index, first);
}

/* A scalar that each step is given, such as the learning rate. */
static inline uint32_t onestep_write_scalar(onestep_writer *w, int64_t index) {
  return onestep_write_leaf(w, ONESTEP_OP_SCALAR, ONESTEP_F32, 0, NULL, index, 0);
}

/* A constant of `bytes` bytes, which are copied. */
static inline uint32_t onestep_write_constant(onestep_writer *w, uint32_t dtype, uint32_t rank,
                                              const int64_t *dims, const void *data, size_t bytes) {
  uint32_t id = onestep_write(w, ONESTEP_OP_CONSTANT, dtype, rank, dims, 0, NULL);
  if (id == ONESTEP_NO_VALUE) return id;
  void *copy = malloc(bytes ? bytes : 1);
  if (!copy) return onestep_writer_fail(w, "no memory for a constant");
  if (bytes) memcpy(copy, data, bytes);
  w->nodes[id].data = copy;
  w->nodes[id].data_bytes = bytes;
  return id;
}

/* A number without axes. */
static inline uint32_t onestep_write_number(onestep_writer *w, float value) {
  return onestep_write_constant(w, ONESTEP_F32, 0, NULL, &value, sizeof value);
}

/* ---- Ops whose shape follows ---- */

/* An op of one operand that keeps its shape: NEG to RELU, SOFTMAX, LOG_SOFTMAX. */
static inline uint32_t onestep_write_unary(onestep_writer *w, uint32_t op, uint32_t a) {
  const onestep_node *x = onestep_writer_node(w, a);
  return x ? onestep_write(w, op, x->dtype, x->rank, x->dims, 1, &a) : ONESTEP_NO_VALUE;
}

/* A value in another shape of as many elements. */
static inline uint32_t onestep_write_reshape(onestep_writer *w, uint32_t a, uint32_t rank,
                                             const int64_t *dims) {
  const onestep_node *x = onestep_writer_node(w, a);
  return x ? onestep_write(w, ONESTEP_OP_RESHAPE, x->dtype, rank, dims, 1, &a) : ONESTEP_NO_VALUE;
}

/* A value repeated to a shape; axes are aligned at the right. Nothing where it has that shape. */
static inline uint32_t onestep_write_broadcast(onestep_writer *w, uint32_t a, uint32_t rank,
                                               const int64_t *dims) {
  const onestep_node *x = onestep_writer_node(w, a);
  if (!x) return ONESTEP_NO_VALUE;
  if (x->rank == rank && (!rank || !memcmp(x->dims, dims, rank * sizeof *dims))) return a;
  return onestep_write(w, ONESTEP_OP_BROADCAST, x->dtype, rank, dims, 1, &a);
}

/* An op of two operands, ADD to GE, which are repeated to a common shape as in NumPy. */
static inline uint32_t onestep_write_binary(onestep_writer *w, uint32_t op, uint32_t a,
                                            uint32_t b) {
  const onestep_node *x = onestep_writer_node(w, a), *y = onestep_writer_node(w, b);
  if (!x || !y) return ONESTEP_NO_VALUE;
  int64_t dims[ONESTEP_MAX_RANK];
  uint32_t rank = x->rank > y->rank ? x->rank : y->rank;
  for (uint32_t axis = 0; axis < rank; axis++) {
    int64_t p = axis + x->rank < rank ? 1 : x->dims[axis + x->rank - rank];
    int64_t q = axis + y->rank < rank ? 1 : y->dims[axis + y->rank - rank];
    if (p != q && p != 1 && q != 1) {
      return onestep_writer_fail(w, "two operands have shapes that do not fit each other");
    }
    dims[axis] = p == 1 ? q : p;
  }
  uint32_t inputs[2];
  inputs[0] = onestep_write_broadcast(w, a, rank, dims);
  inputs[1] = onestep_write_broadcast(w, b, rank, dims);
  return onestep_write(w, op, ONESTEP_F32, rank, dims, 2, inputs);
}

/* The product of two matrices, or of two stacks of them; either may be taken transposed. */
static inline uint32_t onestep_write_matmul(onestep_writer *w, uint32_t a, int a_transposed,
                                            uint32_t b, int b_transposed) {
  const onestep_node *x = onestep_writer_node(w, a), *y = onestep_writer_node(w, b);
  if (!x || !y) return ONESTEP_NO_VALUE;
  uint32_t rank = x->rank;
  if (rank < 2 || y->rank != rank) {
    return onestep_writer_fail(w, "a product takes two operands of one rank, 2 or more");
  }
  int64_t dims[ONESTEP_MAX_RANK];
  memcpy(dims, x->dims, sizeof dims);
  dims[rank - 2] = x->dims[rank - (a_transposed ? 1 : 2)];
  dims[rank - 1] = y->dims[rank - (b_transposed ? 2 : 1)];
  if (x->dims[rank - (a_transposed ? 2 : 1)] != y->dims[rank - (b_transposed ? 1 : 2)]) {
    return onestep_writer_fail(w, "the operands of a product do not fit each other");
  }
  const uint32_t inputs[2] = {a, b};
  uint32_t id = onestep_write(w, ONESTEP_OP_MATMUL, ONESTEP_F32, rank, dims, 2, inputs);
  if (id != ONESTEP_NO_VALUE) {
    w->nodes[id].ints[0] = a_transposed != 0;
    w->nodes[id].ints[1] = b_transposed != 0;
  }
  return id;
}

/* REDUCE_SUM, REDUCE_MAX or REDUCE_MIN over some axes, which stay as 1. */
static inline uint32_t onestep_write_reduce(onestep_writer *w, uint32_t op, uint32_t a,
                                            uint32_t axis_count, const uint32_t *axes) {
  const onestep_node *x = onestep_writer_node(w, a);
  if (!x) return ONESTEP_NO_VALUE;
  int64_t dims[ONESTEP_MAX_RANK];
  memcpy(dims, x->dims, sizeof dims);
  if (axis_count > x->rank) return onestep_writer_fail(w, "a reduction over too many axes");
  for (uint32_t i = 0; i < axis_count; i++) {
    if (axes[i] >= x->rank) return onestep_writer_fail(w, "a reduction over an axis beyond the rank");
    dims[axes[i]] = 1;
  }
  uint32_t id = onestep_write(w, op, x->dtype, x->rank, dims, 1, &a);
  if (id == ONESTEP_NO_VALUE) return id;
  w->nodes[id].ints[0] = axis_count;
  for (uint32_t i = 0; i < axis_count; i++) w->nodes[id].ints[1 + i] = axes[i];
  return id;
}

/* The mean over all elements, as a number: what a loss ends with. */
static inline uint32_t onestep_write_mean(onestep_writer *w, uint32_t a) {
  const onestep_node *x = onestep_writer_node(w, a);
  if (!x) return ONESTEP_NO_VALUE;
  uint32_t axes[ONESTEP_MAX_RANK], rank = x->rank;
  double elements = 1;
  for (uint32_t axis = 0; axis < rank; axis++) {
    axes[axis] = axis;
    elements *= (double)x->dims[axis];
  }
  uint32_t sum = rank ? onestep_write_reduce(w, ONESTEP_OP_REDUCE_SUM, a, rank, axes) : a;
  uint32_t number = onestep_write_reshape(w, sum, 0, NULL);
  uint32_t share = onestep_write_number(w, (float)(1 / elements));
  return onestep_write_binary(w, ONESTEP_OP_MUL, number, share);
}

/* The cross entropy of each row of logits [rows, classes] with labels [rows], which are i32. */
static inline uint32_t onestep_write_cross_entropy(onestep_writer *w, uint32_t logits,
                                                   uint32_t labels) {
  const onestep_node *x = onestep_writer_node(w, logits);
  const uint32_t inputs[2] = {logits, labels};
  if (!x) return ONESTEP_NO_VALUE;
  return onestep_write(w, ONESTEP_OP_CROSS_ENTROPY, ONESTEP_F32, 1, x->dims, 2, inputs);
}

/* The output size of a window of `size` along an axis; 0 where it does not fit. */
static inline int64_t onestep_window_output(const onestep_window *window, int axis, int64_t size,
                                            int64_t input) {
  int64_t room = input + window->before[axis] + window->behind[axis] -
                 window->dilation[axis] * (size - 1) - 1;
  return room < 0 || window->stride[axis] < 1 ? 0 : room / window->stride[axis] + 1;
}

/* Writes a window's pairs from attribute `at` on: stride, before, behind, dilation. */
static inline void onestep_window_set(onestep_node *node, int at, const onestep_window *window) {
  memcpy(node->ints + at, window->stride, sizeof window->stride);
  memcpy(node->ints + at + 2, window->before, sizeof window->before);
  memcpy(node->ints + at + 4, window->behind, sizeof window->behind);
  memcpy(node->ints + at + 6, window->dilation, sizeof window->dilation);
}

/* A convolution: x [n, c, h, w], weight [o, c / groups, kh, kw]. */
static inline uint32_t onestep_write_conv(onestep_writer *w, uint32_t x, uint32_t weight,
                                          const onestep_window *window, int64_t groups) {
  const onestep_node *in = onestep_writer_node(w, x), *k = onestep_writer_node(w, weight);
  if (!in || !k) return ONESTEP_NO_VALUE;
  if (in->rank != 4 || k->rank != 4) {
    return onestep_writer_fail(w, "a convolution takes operands of rank 4");
  }
  const int64_t dims[4] = {in->dims[0], k->dims[0],
                           onestep_window_output(window, 0, k->dims[2], in->dims[2]),
                           onestep_window_output(window, 1, k->dims[3], in->dims[3])};
  const uint32_t inputs[2] = {x, weight};
  uint32_t id = onestep_write(w, ONESTEP_OP_CONV, ONESTEP_F32, 4, dims, 2, inputs);
  if (id != ONESTEP_NO_VALUE) {
    onestep_window_set(&w->nodes[id], 0, window);
    w->nodes[id].ints[8] = groups;
  }
  return id;
}

/* MAX_POOL or SUM_POOL of x [n, c, h, w] over windows of `size`. */
static inline uint32_t onestep_write_pool(onestep_writer *w, uint32_t op, uint32_t x,
                                          const int64_t size[2], const onestep_window *window) {
  const onestep_node *in = onestep_writer_node(w, x);
  if (!in) return ONESTEP_NO_VALUE;
  if (in->rank != 4) return onestep_writer_fail(w, "a pooling takes an operand of rank 4");
  const int64_t dims[4] = {in->dims[0], in->dims[1],
                           onestep_window_output(window, 0, size[0], in->dims[2]),
                           onestep_window_output(window, 1, size[1], in->dims[3])};
  uint32_t id = onestep_write(w, op, ONESTEP_F32, 4, dims, 1, &x);
  if (id != ONESTEP_NO_VALUE) {
    memcpy(w->nodes[id].ints, size, 2 * sizeof *size);
    onestep_window_set(&w->nodes[id], 2, window);
  }
  return id;
}

/* ---- The backward pass ---- */

/* A node of another graph, with all that it points to, as the next one. */
static inline uint32_t onestep_write_node(onestep_writer *w, const onestep_node *node) {
  uint32_t id = onestep_write(w, node->op, node->dtype, node->rank, node->dims, node->input_count,
                              node->inputs);
  if (id == ONESTEP_NO_VALUE) return id;
  onestep_node *own = &w->nodes[id];
  memcpy(own->ints, node->ints, sizeof own->ints);
  memcpy(own->floats, node->floats, sizeof own->floats);
  if (!node->data) return id;
  void *copy = malloc(node->data_bytes);
  if (!copy) return onestep_writer_fail(w, "no memory for a constant");
  memcpy(copy, node->data, node->data_bytes);
  own->data = copy;
  own->data_bytes = node->data_bytes;
  return id;
}

/* Appends the gradients of a scalar in some values: the backward pass. On success `gradients` holds
 * the value of each. A failure is the library's status and is kept as a mistake of the graph too. */
static inline onestep_status *onestep_write_gradients(onestep_writer *w, uint32_t loss,
                                                      const uint32_t *values, uint64_t value_count,
                                                      uint32_t *gradients) {
  const onestep_graph graph = onestep_writer_graph(w);
  onestep_graph backward = {NULL, 0};
  onestep_differentiate_args args;
  memset(&args, 0, sizeof args);
  args.struct_bytes = sizeof args;
  args.graph = &graph;
  args.values = values;
  args.value_count = value_count;
  args.loss = loss;
  args.gradients = gradients;
  onestep_status *status = onestep_graph_differentiate(&args);
  if (!status) status = onestep_derivative_nodes(args.derivative, &backward);
  if (status) onestep_writer_fail(w, "the graph has no gradient");
  for (uint64_t i = 0; i < backward.node_count; i++) onestep_write_node(w, &backward.nodes[i]);
  onestep_derivative_release(args.derivative);
  return status;
}

#ifdef __cplusplus
}
#endif

#endif /* ONESTEP_GRAPH_H */
