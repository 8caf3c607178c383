// What the shim refuses before the platform's compiler sees it: MPSGraph ends the process on a
// shape or type that does not fit.
#pragma once

#include "graph.h"

namespace onestep {

// Where a mistake is.
struct NodeSite {
  const char *graph;
  size_t index;
  const char *op;

  // "forward node 3 (CONV): wanted ..., got ..."
  __attribute__((format(printf, 2, 3))) Status bad(const char *format, ...) const;
  // A node or operand of another type than the op wants.
  Status mismatch(const char *wanted, const Node &got) const;
};

// Checks the last node of a graph, whose operands are checked already.
Status check_node(const Graph &graph, size_t index, const Leaves &leaves);

// One node under check.
struct NodeCheck {
  const Graph &graph;
  const Node &node;
  NodeSite site;

  const Node &in(size_t i) const { return graph.input(node, i); }
  Status same_type(const Node &a, const Node &b) const;
  Status is_f32(const Node &of) const;
  Status has_rank(const Node &of, size_t rank) const;
  Status has_dims(const Dims &dims) const;
  // `ints[at .. at + count]` within `least ..= most`.
  Status ints_within(size_t at, size_t count, int64_t least, int64_t most) const;
};

// The rules by family.
Status check_leaf(const NodeCheck &check, const Leaves &leaves);
Status check_elementwise(const NodeCheck &check);
Status check_reduction(const NodeCheck &check);
Status check_movement(const NodeCheck &check);
Status check_matmul(const NodeCheck &check);
Status check_convolution(const NodeCheck &check);
Status check_pooling(const NodeCheck &check);
Status check_rows(const NodeCheck &check);

}  // namespace onestep
