// Copies between buffers within a step.
#pragma once

#include "stage.h"

namespace onestep {

class CopyStage : public Stage {
 public:
  struct Copy {
    Place source, target;
    uint64_t bytes;
  };

  void add(Place source, Place target, uint64_t bytes) { copies_.push_back({source, target, bytes}); }
  bool empty() const { return copies_.empty(); }

  Status link(const Bindings &bindings) override;
  Status encode(MPSCommandBuffer *commands, const StepContext &step) override;
  uint32_t encodes() const override { return 0; }

 private:
  std::vector<Copy> copies_;
  std::vector<Ref<id<MTLBuffer>>> sources_, targets_;
};

}  // namespace onestep
