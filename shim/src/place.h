// Names of the memory that compiled graphs read and write.
#pragma once

#include <cstdint>
#include <tuple>

namespace onestep {

enum class Source : uint8_t {
  Feed,               // a: index
  Output,             // a: index
  Parameter,          // a: group
  Gradient,           // a: group
  OptimizerState,     // a: group, b: index
  State,              // a: index
  Scalars,            // f32, one a scalar of a step
  Random,             // i32, seven a random stream
  Reports,            // a: 0 for the forward graph, 1 for the update graph
  NewParameter,       // as Parameter, after the step
  NewOptimizerState,  // as OptimizerState, after the step
  NewState,           // as State, after the step
  Boundary,           // a: node, a value that passes from one part of a split step to a later one
  BoundaryGradient,   // a: node, b: the part that made this share of its gradient
  ParameterGradient,  // a: index of a share of a parameter's gradient
  HybridInput,        // a: node of a convolution outside of the graph; its input, channels last
  HybridWeight,       // a: as HybridInput; its weight, channels last
  HybridOutput,       // a: as HybridInput; its output, channels last
  HybridOutputGradient,  // a: as HybridInput; the gradient of its output, channels last
  HybridInputGradient,   // a: as HybridInput; the gradient of its input, channels last
};

struct Place {
  Source source;
  uint32_t a = 0, b = 0;

  bool operator<(const Place &other) const {
    return std::tie(source, a, b) < std::tie(other.source, other.a, other.b);
  }
  bool operator==(const Place &other) const {
    return source == other.source && a == other.a && b == other.b;
  }
};

}  // namespace onestep
