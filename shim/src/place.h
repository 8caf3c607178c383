// Names of the memory that compiled graphs read and write.
#pragma once

#include <cstdint>
#include <tuple>

namespace onestep {

enum class Source : uint8_t {
  Feed,               // a: index
  Output,             // a: index
  State,              // a: index
  Scalars,            // f32, one a scalar of a step
  Random,             // i32, seven a random stream
  Reports,            // f32, one a report
  NewState,           // as State, after the step
  Boundary,           // a: node, a value that passes from one part of a step to a later one
  HybridInput,        // a: index of a convolution outside of the graph; its input, channels last
  HybridWeight,       // a: as HybridInput; its weight, channels last
  HybridOutput,       // a: as HybridInput; its output, channels last
  HybridOutputGradient,  // a: as HybridInput; the gradient of its output, channels last
  HybridInputGradient,   // a: as HybridInput; the gradient of its input, channels last
  HybridWeightGradient,  // a: as HybridInput; the gradient of its weight, channels last
};

struct Place {
  Source source;
  uint32_t a = 0;

  bool operator<(const Place &other) const {
    return std::tie(source, a) < std::tie(other.source, other.a);
  }
  bool operator==(const Place &other) const { return source == other.source && a == other.a; }
};

}  // namespace onestep
