#include "metal.h"
#include "runtime.h"

@implementation MPSCommandBuffer
@dynamic label;

+ (instancetype)commandBufferWithCommandBuffer:(id<MTLCommandBuffer>)commandBuffer {
  return [[[self alloc] initWithCommandBuffer:commandBuffer] autorelease];
}

+ (instancetype)commandBufferFromCommandQueue:(id<MTLCommandQueue>)commandQueue {
  if (!commandQueue) headless::fail_assertion("commandBufferFromCommandQueue: nil");
  return [self commandBufferWithCommandBuffer:[commandQueue commandBuffer]];
}

- (instancetype)initWithCommandBuffer:(id<MTLCommandBuffer>)commandBuffer {
  if ((self = [super init])) _current = [commandBuffer retain];
  return self;
}

- (void)dealloc {
  [_current release];
  [super dealloc];
}

- (id<MTLCommandBuffer>)commandBuffer {
  return _current;
}
- (id<MTLCommandBuffer>)rootCommandBuffer {
  return headless::unwrap(_current);
}

- (void)commitAndContinue {
  id<MTLCommandBuffer> committed = _current;
  _current = [[[committed commandQueue] commandBuffer] retain];
  [committed commit];
  [committed release];
}

- (id<MTLDevice>)device {
  return [_current device];
}
- (id<MTLCommandQueue>)commandQueue {
  return [_current commandQueue];
}
- (BOOL)retainedReferences {
  return [_current retainedReferences];
}
- (NSString *)label {
  return [_current label];
}
- (void)setLabel:(NSString *)label {
  [_current setLabel:label];
}
- (CFTimeInterval)GPUStartTime {
  return [_current GPUStartTime];
}
- (CFTimeInterval)GPUEndTime {
  return [_current GPUEndTime];
}
- (MTLCommandBufferStatus)status {
  return [_current status];
}
- (NSError *)error {
  return [_current error];
}
- (void)enqueue {
  [_current enqueue];
}
- (void)commit {
  [_current commit];
}
- (void)addScheduledHandler:(MTLCommandBufferHandler)block {
  [_current addScheduledHandler:block];
}
- (void)waitUntilScheduled {
  [_current waitUntilScheduled];
}
- (void)addCompletedHandler:(MTLCommandBufferHandler)block {
  [_current addCompletedHandler:block];
}
- (void)waitUntilCompleted {
  [_current waitUntilCompleted];
}
- (id<MTLBlitCommandEncoder>)blitCommandEncoder {
  return [_current blitCommandEncoder];
}
@end
