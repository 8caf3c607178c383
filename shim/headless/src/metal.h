// The classes behind the Metal protocols, and how work gets into a command buffer.
#pragma once
#import <Metal/Metal.h>
#import <MetalPerformanceShaders/MPSCommandBuffer.h>
#include "storage.h"
#include <functional>
#include <memory>
#include <vector>

namespace headless {
struct QueueState;
struct CommandBufferState;
}  // namespace headless

@interface HeadlessDevice : NSObject <MTLDevice>
@end

@interface HeadlessBuffer : NSObject <MTLBuffer> {
 @public
  std::shared_ptr<headless::Storage> *_storage;
}
- (instancetype)initWithStorage:(std::shared_ptr<headless::Storage>)storage;
@end

@interface HeadlessQueue : NSObject <MTLCommandQueue> {
 @public
  std::shared_ptr<headless::QueueState> *_state;
  NSString *_label;
}
@end

@interface HeadlessCommandBuffer : NSObject <MTLCommandBuffer> {
 @public
  HeadlessQueue *_queue;
  headless::CommandBufferState *_state;
  NSString *_label;
}
- (instancetype)initWithQueue:(HeadlessQueue *)queue retaining:(BOOL)retaining;
// Called by the queue's thread.
- (void)execute;
- (BOOL)isCommitted;
@end

@interface HeadlessBlitEncoder : NSObject <MTLBlitCommandEncoder> {
 @public
  HeadlessCommandBuffer *_commandBuffer;
  NSString *_label;
  BOOL _ended;
}
- (instancetype)initWithCommandBuffer:(HeadlessCommandBuffer *)commandBuffer;
@end

namespace headless {

// The only device: there is one processor.
id<MTLDevice> shared_device();

// The storage of a buffer; fails if the buffer is nil or not ours.
std::shared_ptr<Storage> storage_of(id<MTLBuffer> buffer);

// The command buffer under any wrappers.
HeadlessCommandBuffer *unwrap(id<MTLCommandBuffer> command_buffer);

// Appends work that the device's thread does in order. The objects in `retained` live until the
// command buffer has completed; the memory in `used` is only watched (see Storage).
void encode(id<MTLCommandBuffer> command_buffer, NSArray *retained,
            const std::vector<std::shared_ptr<Storage>> &used, std::function<void()> work);

}  // namespace headless
