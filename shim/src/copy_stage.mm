#include "copy_stage.h"

namespace onestep {

Status CopyStage::link(const Bindings &bindings) {
  for (const Copy &copy : copies_) {
    sources_.emplace_back(bindings.at(copy.source, 0));
    targets_.emplace_back(bindings.at(copy.target, 0));
    if (!sources_.back()) return failure(ONESTEP_INTERNAL, "a copy without memory");
  }
  return ok();
}

Status CopyStage::encode(MPSCommandBuffer *commands, const StepContext &step) {
  id<MTLBlitCommandEncoder> blit = [commands blitCommandEncoder];
  if (!blit) return failure(ONESTEP_OUT_OF_MEMORY, "the device gave no blit encoder");
  for (size_t i = 0; i < copies_.size(); i++) {
    const onestep_buffer *given = step.buffers.find(copies_[i].target);
    id<MTLBuffer> target = given ? given->metal.get() : targets_[i].get();
    [blit copyFromBuffer:sources_[i].get() sourceOffset:0 toBuffer:target destinationOffset:0
                    size:copies_[i].bytes];
  }
  [blit endEncoding];
  return ok();
}

}  // namespace onestep
