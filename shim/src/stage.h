// A part of a step that is encoded into its command buffer: a compiled graph, copies, a convolution.
#pragma once

#include "bindings.h"
#include "queue.h"

namespace onestep {

// What a stage needs to be encoded.
struct StepContext {
  onestep_device &device;
  Flight &flight;
  const StepBuffers &buffers;
};

class Stage {
 public:
  virtual ~Stage() = default;
  // Resolves the memory of the stage, once, before the first step.
  virtual Status link(const Bindings &bindings) = 0;
  virtual Status encode(MPSCommandBuffer *commands, const StepContext &step) = 0;
  // How many graphs and kernels it encodes.
  virtual uint32_t encodes() const = 0;

  // An estimate of its work.
  uint64_t flops = 0;
};

}  // namespace onestep
