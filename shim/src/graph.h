// Graphs as the shim keeps them: copies of what the caller described, checked. Plain C++.
#pragma once

#include <cstdint>
#include <vector>

#include "status.h"

namespace onestep {

using Dims = std::vector<int64_t>;

// The product of the axes; checked graphs cannot overflow it.
int64_t elements(const Dims &dims);

struct Node {
  onestep_op op = ONESTEP_OP_NONE;
  onestep_dtype dtype = ONESTEP_F32;
  Dims dims;
  std::vector<uint32_t> inputs;
  int64_t ints[ONESTEP_NODE_INTS] = {};
  double floats[ONESTEP_NODE_FLOATS] = {};
  std::vector<uint8_t> data;
};

struct Graph {
  // For messages, such as "step".
  const char *name = "";
  std::vector<Node> nodes;

  const Node &input(const Node &node, size_t i) const { return nodes[node.inputs[i]]; }
};

// What the leaves of a graph may refer to.
struct Leaves {
  uint64_t feeds = 0, scalars = 0;
  // The f32 elements of each state's buffer.
  std::vector<uint64_t> state_elements;
  // Not known: every index is right.
  bool any = false;
};

// Copies a description and checks everything that the platform's compiler would abort on.
Status read_graph(const onestep_graph *description, const char *name, const Leaves &leaves,
                  Graph *out);

// Whether a node takes its value from outside of the graph or is known beforehand.
bool is_leaf(const Node &node);

// Which nodes the targets depend on.
std::vector<bool> live_nodes(const Graph &graph, const std::vector<uint32_t> &targets);

// Bytes of an element.
size_t dtype_bytes(onestep_dtype dtype);
const char *dtype_name(onestep_dtype dtype);
// "f32 [2, 3]"
std::string type_text(const Node &node);

// An estimate of the floating-point operations of a node: products and sums of matrix products and
// convolutions, and one an element for the rest.
uint64_t node_flops(const Graph &graph, const Node &node);

}  // namespace onestep
