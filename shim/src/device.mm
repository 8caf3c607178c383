#include "device.h"

#include <algorithm>
#include <cstring>

namespace onestep {

void Counters::enter_flight() {
  uint64_t now = in_flight.fetch_add(1) + 1;
  uint64_t peak = in_flight_peak.load();
  while (peak < now && !in_flight_peak.compare_exchange_weak(peak, now)) {
  }
}

Status count_devices(uint32_t *out) {
  Ref<NSArray *> all = Ref<NSArray *>::adopt(MTLCopyAllDevices());
  *out = static_cast<uint32_t>([all.get() count]);
  return ok();
}

Status open_device(uint32_t index, Handle<onestep_device> *out) {
  Ref<id<MTLDevice>> metal;
  if (index == 0) {
    metal = Ref<id<MTLDevice>>::adopt(MTLCreateSystemDefaultDevice());
  } else {
    Ref<NSArray *> all = Ref<NSArray *>::adopt(MTLCopyAllDevices());
    if (index < [all.get() count]) {
      id<MTLDevice> device = [all.get() objectAtIndex:index];
      metal = Ref<id<MTLDevice>>(device);
    }
  }
  if (!metal) return failure(ONESTEP_NO_DEVICE, "there is no Metal device %u", index);
  auto device = Handle<onestep_device>::adopt(new onestep_device);
  device->metal = metal;
  *out = device;
  return ok();
}

bool supports_bf16() {
  if (@available(macOS 14.0, *)) return true;
  return false;
}

Status describe_device(const onestep_device &device, onestep_device_info *info) {
  id<MTLDevice> metal = device.metal.get();
  const char *name = [[metal name] UTF8String];
  std::memset(info->name, 0, sizeof info->name);
  std::strncpy(info->name, name ? name : "", sizeof info->name - 1);
  info->max_buffer_bytes = [metal maxBufferLength];
  info->recommended_bytes = [metal recommendedMaxWorkingSetSize];
  info->allocated_bytes = [metal currentAllocatedSize];
  info->unified_memory = [metal hasUnifiedMemory] ? 1 : 0;
  info->supports_bf16 = supports_bf16() ? 1 : 0;
  return ok();
}

void read_statistics(const onestep_device &device, onestep_statistics *out) {
  const Counters &c = device.counters;
  out->native_calls = c.native_calls;
  out->command_buffers = c.command_buffers;
  out->encodes = c.encodes;
  out->waits = c.waits;
  out->host_copies = c.host_copies;
  out->metal_allocations = c.metal_allocations;
  out->compilations = c.compilations;
  out->in_flight = c.in_flight;
  out->in_flight_peak = c.in_flight_peak;
}

Status command_buffer_failure(NSError *error) {
  const char *text = error ? [[error localizedDescription] UTF8String] : nullptr;
  bool memory = [[error domain] isEqualToString:MTLCommandBufferErrorDomain] &&
                [error code] == MTLCommandBufferErrorOutOfMemory;
  return failure(memory ? ONESTEP_OUT_OF_MEMORY : ONESTEP_DEVICE_ERROR, "%s",
                 text ? text : "a command buffer failed without saying why");
}

}  // namespace onestep

using namespace onestep;

Status onestep_device::allocate(uint64_t bytes, onestep_storage storage,
                                Ref<id<MTLBuffer>> *out) {
  uint64_t most = [metal.get() maxBufferLength];
  if (bytes > most) {
    return failure(ONESTEP_OUT_OF_MEMORY, "a buffer of %llu bytes: the device allows %llu",
                   static_cast<unsigned long long>(bytes), static_cast<unsigned long long>(most));
  }
  MTLResourceOptions options = storage == ONESTEP_STORAGE_PRIVATE ? MTLResourceStorageModePrivate
                                                                  : MTLResourceStorageModeShared;
  counters.metal_allocations++;
  *out = Ref<id<MTLBuffer>>::adopt([metal.get() newBufferWithLength:bytes options:options]);
  if (!*out) {
    return failure(ONESTEP_OUT_OF_MEMORY, "the device has no room for a buffer of %llu bytes",
                   static_cast<unsigned long long>(bytes));
  }
  return ok();
}

Status onestep_device::blit_queue(id<MTLCommandQueue> *out) {
  std::lock_guard<std::mutex> lock(blit_lock_);
  if (!blit_queue_) {
    blit_queue_ = Ref<id<MTLCommandQueue>>::adopt([metal.get() newCommandQueue]);
  }
  if (!blit_queue_) return failure(ONESTEP_OUT_OF_MEMORY, "the device gave no command queue");
  *out = blit_queue_.get();
  return ok();
}

Status onestep_device::finish(id<MTLCommandBuffer> commands) {
  [commands commit];
  counters.command_buffers++;
  counters.waits++;
  [commands waitUntilCompleted];
  if ([commands status] == MTLCommandBufferStatusCompleted) return ok();
  return command_buffer_failure([commands error]);
}

Status onestep_device::copy_and_wait(id<MTLBuffer> source, uint64_t source_offset,
                                     id<MTLBuffer> target, uint64_t target_offset,
                                     uint64_t bytes) {
  id<MTLCommandQueue> queue = nil;
  ONESTEP_TRY(blit_queue(&queue));
  id<MTLCommandBuffer> commands = [queue commandBuffer];
  id<MTLBlitCommandEncoder> blit = [commands blitCommandEncoder];
  if (!blit) return failure(ONESTEP_OUT_OF_MEMORY, "the device gave no command buffer");
  [blit copyFromBuffer:source sourceOffset:source_offset toBuffer:target
     destinationOffset:target_offset size:bytes];
  [blit endEncoding];
  return finish(commands);
}

Status onestep_device::fill_and_wait(id<MTLBuffer> target, uint64_t offset, uint64_t bytes,
                                     uint8_t value) {
  id<MTLCommandQueue> queue = nil;
  ONESTEP_TRY(blit_queue(&queue));
  id<MTLCommandBuffer> commands = [queue commandBuffer];
  id<MTLBlitCommandEncoder> blit = [commands blitCommandEncoder];
  if (!blit) return failure(ONESTEP_OUT_OF_MEMORY, "the device gave no command buffer");
  [blit fillBuffer:target range:NSMakeRange(offset, bytes) value:value];
  [blit endEncoding];
  return finish(commands);
}
