// The nodes of a graph as tensors of one compiled graph.
#pragma once

#include <functional>

#include "executable.h"

namespace onestep {

// What leaves need beyond their node.
struct LeafContext {
  // How many elements of each state the graph reads, from the first one on.
  std::vector<int64_t> state_elements;
  uint64_t scalars = 0;
  // The streams of the random nodes, in the order of their states.
  std::vector<uint32_t> streams;
};

// What the leaves of a graph need, of which a step takes some scalars.
LeafContext leaf_context(const Graph &graph, uint64_t scalars);

// The words of a Philox state of MPSGraph: 1, four of the counter, two of the key.
constexpr int64_t kPhiloxWords = 7;

class NodeEmitter {
 public:
  NodeEmitter(ExecutableBuilder &builder, const Graph &graph, const LeafContext &leaves)
      : builder_(builder), graph_(graph), leaves_(leaves), tensors_(graph.nodes.size(), nil) {}

  // Lets some values come from elsewhere, together with all that they depend on: those for which
  // `is_outside` holds are made by `make`, when they are needed.
  void set_outside(std::function<bool(uint32_t)> is_outside,
                   std::function<MPSGraphTensor *(uint32_t)> make) {
    is_outside_ = std::move(is_outside);
    make_outside_ = std::move(make);
  }
  // Makes the tensors of some nodes and of what they need, in the order of the graph.
  Status emit(const std::vector<uint32_t> &nodes);
  // The tensor of a node that was emitted.
  MPSGraphTensor *at(uint32_t node) const { return tensors_[node]; }

 private:
  std::vector<bool> missing(const std::vector<uint32_t> &nodes) const;
  Status emit_one(uint32_t index);
  void spare_broadcasts(const Node &node, Tensors *inputs);
  MPSGraphTensor *emit_leaf(const Node &node);
  MPSGraphTensor *cut_state(const Node &node);
  MPSGraphTensor *random(const Node &node);
  Status conform(uint32_t index, MPSGraphTensor *tensor);

  ExecutableBuilder &builder_;
  const Graph &graph_;
  const LeafContext &leaves_;
  std::function<bool(uint32_t)> is_outside_ = [](uint32_t) { return false; };
  std::function<MPSGraphTensor *(uint32_t)> make_outside_;
  Tensors tensors_;
};

// `x[start .. start + length]` of a vector.
MPSGraphTensor *slice_vector(MPSGraph *g, MPSGraphTensor *x, int64_t start, int64_t length);
// Vectors one behind the other.
MPSGraphTensor *join_vectors(MPSGraph *g, const Tensors &parts);

}  // namespace onestep
