/*
 * A few helpers to write graphs in C: each appends a node and returns its index. There is room for
 * 64 nodes of at most 3 operands; more than that is for a program of its own.
 */
#ifndef ONESTEP_GRAPH_WRITER_H
#define ONESTEP_GRAPH_WRITER_H

#include <onestep.h>

#include <string.h>

enum { kMostNodes = 64, kMostInputs = 3 };

typedef struct graph_writer {
  onestep_node nodes[kMostNodes];
  uint32_t inputs[kMostNodes][kMostInputs];
  uint32_t count;
} graph_writer;

/* A node of `rank` axes with `input_count` operands, all attributes 0. */
static inline uint32_t write_node(graph_writer *g, uint32_t op, uint32_t dtype, uint32_t rank,
                                  const int64_t *dims, uint32_t input_count,
                                  const uint32_t *inputs) {
  if (g->count == kMostNodes || input_count > kMostInputs || rank > ONESTEP_MAX_RANK) {
    return ONESTEP_NO_VALUE; /* the library refuses a graph with such an operand */
  }
  onestep_node *node = &g->nodes[g->count];
  memset(node, 0, sizeof *node);
  node->op = op;
  node->dtype = dtype;
  node->rank = rank;
  for (uint32_t i = 0; i < rank; i++) node->dims[i] = dims[i];
  for (uint32_t i = 0; i < input_count; i++) g->inputs[g->count][i] = inputs[i];
  node->input_count = input_count;
  node->inputs = g->inputs[g->count];
  return g->count++;
}

/* A leaf with two attributes, such as PARAMETER with its group and first element. */
static inline uint32_t write_leaf(graph_writer *g, uint32_t op, uint32_t rank, const int64_t *dims,
                                  int64_t first, int64_t second) {
  uint32_t id = write_node(g, op, ONESTEP_F32, rank, dims, 0, NULL);
  if (id != ONESTEP_NO_VALUE) {
    g->nodes[id].ints[0] = first;
    g->nodes[id].ints[1] = second;
  }
  return id;
}

static inline uint32_t write_unary(graph_writer *g, uint32_t op, uint32_t rank,
                                   const int64_t *dims, uint32_t a) {
  return write_node(g, op, ONESTEP_F32, rank, dims, 1, &a);
}

static inline uint32_t write_binary(graph_writer *g, uint32_t op, uint32_t rank,
                                    const int64_t *dims, uint32_t a, uint32_t b) {
  const uint32_t inputs[2] = {a, b};
  return write_node(g, op, ONESTEP_F32, rank, dims, 2, inputs);
}

/* An f32 scalar; the value must live until the program is compiled. */
static inline uint32_t write_constant(graph_writer *g, const float *value) {
  uint32_t id = write_node(g, ONESTEP_OP_CONSTANT, ONESTEP_F32, 0, NULL, 0, NULL);
  if (id != ONESTEP_NO_VALUE) {
    g->nodes[id].data = value;
    g->nodes[id].data_bytes = sizeof *value;
  }
  return id;
}

/* The mean over all elements of a matrix, as a scalar. `reciprocal` is one over their number. */
static inline uint32_t write_mean(graph_writer *g, uint32_t matrix, const float *reciprocal) {
  const int64_t one_by_one[2] = {1, 1};
  uint32_t sum = write_unary(g, ONESTEP_OP_REDUCE_SUM, 2, one_by_one, matrix);
  if (sum != ONESTEP_NO_VALUE) {
    g->nodes[sum].ints[0] = 2; /* two axes: 0 and 1 */
    g->nodes[sum].ints[2] = 1;
  }
  uint32_t scalar = write_unary(g, ONESTEP_OP_RESHAPE, 0, NULL, sum);
  return write_binary(g, ONESTEP_OP_MUL, 0, NULL, scalar, write_constant(g, reciprocal));
}

#endif
