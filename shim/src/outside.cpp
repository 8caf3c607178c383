#include "outside.h"

#include <algorithm>

namespace onestep {

namespace {

// Metal's limits of a texture: its sides, and slices of four channels of all pictures.
bool fits_image(const Dims &dims) {
  constexpr int64_t kMostSide = 16384, kMostSlices = 2048;
  return dims[2] <= kMostSide && dims[3] <= kMostSide &&
         (dims[1] + 3) / 4 <= kMostSlices / std::max<int64_t>(dims[0], 1);
}

// Operands are batches or computed values, which a graph lays out anew; channels of each of several
// groups come in multiples of 4.
bool runs_outside(const Graph &graph, const Node &node) {
  if (node.op != ONESTEP_OP_CONV) return false;
  for (uint32_t input : node.inputs) {
    const Node &operand = graph.nodes[input];
    if (is_leaf(operand) && operand.op != ONESTEP_OP_FEED && operand.op != ONESTEP_OP_STATE) {
      return false;
    }
  }
  const Dims &w = graph.input(node, 1).dims;
  int64_t groups = node.ints[8];
  if (!fits_image(graph.input(node, 0).dims) || !fits_image(node.dims)) return false;
  return groups == 1 || (w[1] % 4 == 0 && w[0] / groups % 4 == 0);
}

// Finds the gradients of convolutions. A node is the gradient of one of them at most.
class Matcher {
 public:
  Matcher(const Graph &graph, const std::vector<bool> &live) : graph_(graph) {
    for (uint32_t i = 0; i < graph.nodes.size(); i++) {
      onestep_op op = graph.nodes[i].op;
      if (!live[i]) continue;
      if (op == ONESTEP_OP_CONV_INPUT_GRAD) input_gradients_.push_back(i);
      if (op == ONESTEP_OP_CONV_WEIGHT_GRAD) weight_gradients_.push_back(i);
    }
  }

  // The gradient of the weight that shares its `dy` with one of the input, if there is such a pair;
  // else whichever there is.
  void match(OutsideConvolution *convolution) {
    std::vector<uint32_t> weights = candidates(weight_gradients_, convolution->forward, 0, 1);
    std::vector<uint32_t> inputs = candidates(input_gradients_, convolution->forward, 1, 0);
    for (uint32_t dw : weights) {
      for (uint32_t dx : inputs) {
        if (graph_.nodes[dw].inputs[1] != graph_.nodes[dx].inputs[0]) continue;
        convolution->weight_gradient = take(&weight_gradients_, dw);
        convolution->input_gradient = take(&input_gradients_, dx);
        return;
      }
    }
    if (!weights.empty()) {
      convolution->weight_gradient = take(&weight_gradients_, weights[0]);
    } else if (!inputs.empty()) {
      convolution->input_gradient = take(&input_gradients_, inputs[0]);
    }
  }

 private:
  // The gradients with the window of a convolution that take its operand `operand`, and a `dy` as
  // their other input. They come behind it: one that a graph has before it, such as a transposed
  // convolution whose own gradient the convolution is, cannot wait for what that keeps.
  std::vector<uint32_t> candidates(const std::vector<uint32_t> &list, uint32_t convolution,
                                   size_t operand, size_t result) const {
    const Node &forward = graph_.nodes[convolution];
    std::vector<uint32_t> found;
    for (uint32_t index : list) {
      if (index < convolution) continue;
      const Node &node = graph_.nodes[index];
      bool window = std::equal(node.ints, node.ints + 9, forward.ints);
      size_t kept = operand == 0 ? 0 : 1, dy = operand == 0 ? 1 : 0;
      if (window && node.inputs[kept] == forward.inputs[operand] &&
          graph_.input(node, dy).dims == forward.dims &&
          node.dims == graph_.input(forward, result).dims) {
        found.push_back(index);
      }
    }
    return found;
  }

  static uint32_t take(std::vector<uint32_t> *list, uint32_t index) {
    list->erase(std::find(list->begin(), list->end(), index));
    return index;
  }

  const Graph &graph_;
  std::vector<uint32_t> input_gradients_, weight_gradients_;
};

}  // namespace

std::vector<OutsideConvolution> outside_convolutions(const Graph &graph,
                                                     const std::vector<bool> &live) {
  std::vector<OutsideConvolution> list;
  Matcher matcher(graph, live);
  for (uint32_t i = 0; i < graph.nodes.size(); i++) {
    if (!live[i] || !runs_outside(graph, graph.nodes[i])) continue;
    list.push_back({i});
    matcher.match(&list.back());
  }
  return list;
}

}  // namespace onestep
