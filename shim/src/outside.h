// Which convolutions of a graph run outside of it, with their gradients. Plain C++.
#pragma once

#include "graph.h"

namespace onestep {

constexpr uint32_t kNoConvolution = UINT32_MAX;

// A CONV node and the nodes of its gradients, ONESTEP_NO_VALUE where the graph has none.
struct OutsideConvolution {
  uint32_t forward;
  uint32_t input_gradient = ONESTEP_NO_VALUE, weight_gradient = ONESTEP_NO_VALUE;

  bool has_gradient() const {
    return input_gradient != ONESTEP_NO_VALUE || weight_gradient != ONESTEP_NO_VALUE;
  }
  // The value that both gradients take.
  uint32_t output_gradient(const Graph &graph) const {
    return input_gradient != ONESTEP_NO_VALUE ? graph.nodes[input_gradient].inputs[0]
                                              : graph.nodes[weight_gradient].inputs[1];
  }
};

// The convolutions among the live nodes that MPSCNNConvolution can take over.
std::vector<OutsideConvolution> outside_convolutions(const Graph &graph,
                                                     const std::vector<bool> &live);

}  // namespace onestep
