// The compiled graph of one part of a step.
#pragma once

#include "node_emitter.h"
#include "parts.h"

namespace onestep {

class PartBuilder {
 public:
  // `crosses` tells the values that pass between parts.
  PartBuilder(const ProgramDescription &program, const Parts &parts,
              const std::vector<bool> &crosses, const LeafContext &leaves, uint32_t part);

  // Computes the part's values and writes those that are needed elsewhere.
  Status build();
  ExecutableBuilder &builder() { return builder_; }

 private:
  MPSGraphTensor *taken(uint32_t value);
  void write(Place place, uint32_t value);
  void lay_out(Place place, uint32_t value);
  void write_boundaries();
  void write_convolution();
  void write_targets();

  const ProgramDescription &program_;
  const Parts &parts_;
  const std::vector<bool> &crosses_;
  const uint32_t part_;
  ExecutableBuilder builder_;
  NodeEmitter emitter_;
};

// Whether a new value of a state is the state as it is, which needs no work.
bool is_unchanged(const ProgramDescription &program, uint32_t state);

}  // namespace onestep
