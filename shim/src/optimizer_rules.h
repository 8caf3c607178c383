// The update rules of the optimizer calls as graphs over whole tensors. Plain C++.
#pragma once

#include "graph.h"

namespace onestep {

// The states of a tensor of the optimizer calls: its parameter and what the optimizer keeps.
constexpr uint32_t kStatesOfTensor = 1 + ONESTEP_MAX_OPTIMIZER_STATES;

// A rule with what changes its graph and the numbers that do not.
struct OptimizerRule {
  const char *name = "";
  // Which branches the graph has; part of the cache's key.
  std::vector<bool> options;
  // How many kinds of state a tensor has.
  uint32_t states = 0;
  // The inputs of a step, in the order in which the graph takes them.
  std::vector<float> scalars;
  // Appends the update of tensor `index` of `elements` elements. `new_values` are the new parameter
  // and then the new states.
  void (*append)(const OptimizerRule &rule, Graph *graph, uint32_t index, int64_t elements,
                 std::vector<uint32_t> *new_values) = nullptr;
};

OptimizerRule sgd_rule(const onestep_sgd_args &args);
OptimizerRule adam_rule(const onestep_adam_args &args);
OptimizerRule rmsprop_rule(const onestep_rmsprop_args &args);

}  // namespace onestep
