// GPUs and what is counted on them.
#pragma once

#import <Metal/Metal.h>

#include <atomic>
#include <mutex>

#include "ref.h"
#include "status.h"

namespace onestep {

struct Counters {
  std::atomic<uint64_t> native_calls{0}, command_buffers{0}, encodes{0}, waits{0}, host_copies{0};
  std::atomic<uint64_t> metal_allocations{0}, compilations{0}, in_flight{0}, in_flight_peak{0};

  void enter_flight();
};

}  // namespace onestep

struct onestep_device : onestep::Counted {
  onestep::Ref<id<MTLDevice>> metal;
  mutable onestep::Counters counters;

  // Allocates a buffer of Metal, counted.
  onestep::Status allocate(uint64_t bytes, onestep_storage storage,
                           onestep::Ref<id<MTLBuffer>> *out);
  // Copies by the device outside of any queue of the caller, and waits. For private buffers.
  onestep::Status copy_and_wait(id<MTLBuffer> source, uint64_t source_offset, id<MTLBuffer> target,
                                uint64_t target_offset, uint64_t bytes);
  onestep::Status fill_and_wait(id<MTLBuffer> target, uint64_t offset, uint64_t bytes,
                                uint8_t value);

 private:
  onestep::Status blit_queue(id<MTLCommandQueue> *out);
  onestep::Status finish(id<MTLCommandBuffer> commands);
  std::mutex blit_lock_;
  onestep::Ref<id<MTLCommandQueue>> blit_queue_;
};

namespace onestep {

Status count_devices(uint32_t *out);
Status open_device(uint32_t index, Handle<onestep_device> *out);
Status describe_device(const onestep_device &device, onestep_device_info *info);
void read_statistics(const onestep_device &device, onestep_statistics *out);

// Whether bf16 is there: Metal has it from macOS 14 on.
bool supports_bf16();

// Why a command buffer failed.
Status command_buffer_failure(NSError *error);

}  // namespace onestep
