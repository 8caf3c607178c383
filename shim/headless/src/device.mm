#include "kernels.h"
#include "metal.h"
#include "runtime.h"

@implementation HeadlessDevice
- (NSString *)name {
  return @"headless";
}
- (uint64_t)registryID {
  return 1;
}
- (BOOL)hasUnifiedMemory {
  return YES;
}
- (BOOL)isLowPower {
  return NO;
}
- (BOOL)isHeadless {
  return YES;
}
- (NSUInteger)maxBufferLength {
  return (NSUInteger)1 << 34;
}
- (NSUInteger)currentAllocatedSize {
  return headless::live_bytes();
}

- (uint64_t)recommendedMaxWorkingSetSize {
  const uint64_t limit = headless::memory_limit();
  return limit ? limit : (uint64_t)1 << 34;
}

- (BOOL)supportsFamily:(MTLGPUFamily)family {
  return family <= MTLGPUFamilyApple7 || family == MTLGPUFamilyMac1 || family == MTLGPUFamilyMac2 ||
         (family >= MTLGPUFamilyCommon1 && family <= MTLGPUFamilyCommon3) ||
         family == MTLGPUFamilyMetal3;
}

- (id<MTLCommandQueue>)newCommandQueue {
  if (headless::take_fault(HEADLESS_FAULT_ALLOCATION)) return nil;
  ++headless::counters().allocations;
  return [[HeadlessQueue alloc] init];
}

- (id<MTLCommandQueue>)newCommandQueueWithMaxCommandBufferCount:(NSUInteger)count {
  if (count == 0) headless::fail_assertion("newCommandQueueWithMaxCommandBufferCount: 0");
  return [self newCommandQueue];
}

- (id<MTLBuffer>)newBufferWithLength:(NSUInteger)length options:(MTLResourceOptions)options {
  if (length == 0) headless::fail_assertion("newBufferWithLength: a buffer of length 0");
  if (length > [self maxBufferLength])
    headless::fail_assertion("newBufferWithLength: above maxBufferLength");
  const MTLStorageMode mode = (MTLStorageMode)((options >> 4) & 0xf);
  if (mode == MTLStorageModeMemoryless) headless::fail_assertion("a buffer cannot be memoryless");
  std::shared_ptr<headless::Storage> storage = headless::Storage::allocate(length, mode);
  return storage ? [[HeadlessBuffer alloc] initWithStorage:storage] : nil;
}

- (id<MTLBuffer>)newBufferWithBytes:(const void *)pointer
                             length:(NSUInteger)length
                            options:(MTLResourceOptions)options {
  if (((options >> 4) & 0xf) == MTLStorageModePrivate) {
    headless::fail_assertion("newBufferWithBytes: storage mode private");
  }
  id<MTLBuffer> buffer = [self newBufferWithLength:length options:options];
  if (buffer) memcpy([buffer contents], pointer, length);
  return buffer;
}

- (id<MTLLibrary>)newLibraryWithSource:(NSString *)source
                               options:(MTLCompileOptions *)options
                                 error:(NSError **)error {
  return headless::new_library(source, options, error);
}

- (id<MTLComputePipelineState>)newComputePipelineStateWithFunction:(id<MTLFunction>)function
                                                             error:(NSError **)error {
  return headless::new_pipeline(function, error);
}
@end

namespace headless {

id<MTLDevice> shared_device() {
  static HeadlessDevice *const device = [] {
    headless_runtime_init();
    return [[HeadlessDevice alloc] init];
  }();
  return device;
}

}  // namespace headless

id<MTLDevice> MTLCreateSystemDefaultDevice(void) { return [headless::shared_device() retain]; }

NSArray<id<MTLDevice>> *MTLCopyAllDevices(void) {
  return [[NSArray arrayWithObjects:headless::shared_device(), nil] retain];
}

BOOL MPSSupportsMTLDevice(id<MTLDevice> device) { return device != nil; }
