// Launches of own kernels.
#include "command_buffer.h"
#include "kernels.h"
#include "runtime.h"

@implementation HeadlessComputeEncoder
@synthesize label = _label;

- (instancetype)initWithCommandBuffer:(HeadlessCommandBuffer *)commandBuffer {
  if ((self = [super init])) {
    _commandBuffer = [commandBuffer retain];
    _buffers = [[NSMutableDictionary alloc] init];
    _offsets = new std::vector<size_t>(headless::kMostBuffers, 0);
  }
  return self;
}

- (void)dealloc {
  if (!_ended) headless::fail_assertion("a command encoder was released without endEncoding");
  delete _offsets;
  [_buffers release];
  [_pipeline release];
  [_label release];
  [_commandBuffer release];
  [super dealloc];
}

- (id<MTLDevice>)device {
  return [_commandBuffer device];
}

- (void)endEncoding {
  if (_ended) headless::fail_assertion("endEncoding twice");
  _ended = YES;
  --_commandBuffer->_state->open_encoders;
}

- (void)setComputePipelineState:(id<MTLComputePipelineState>)state {
  if (![(id)state isKindOfClass:[HeadlessPipeline class]])
    headless::fail_assertion("setComputePipelineState: no pipeline");
  [(id)state retain];
  [_pipeline release];
  _pipeline = (HeadlessPipeline *)state;
}

- (void)setBuffer:(id<MTLBuffer>)buffer offset:(NSUInteger)offset atIndex:(NSUInteger)index {
  if (index >= headless::kMostBuffers)
    headless::fail_assertion("setBuffer: index beyond 30");
  if (offset > headless::storage_of(buffer)->length())
    headless::fail_assertion("setBuffer: the offset lies behind the buffer");
  [_buffers setObject:buffer forKey:[NSNumber numberWithUnsignedInteger:index]];
  (*_offsets)[index] = offset;
}

- (void)dispatchThreadgroups:(MTLSize)groups threadsPerThreadgroup:(MTLSize)threads {
  if (_ended) headless::fail_assertion("a command after endEncoding");
  if (!_pipeline) headless::fail_assertion("dispatchThreadgroups without a pipeline");
  const headless::Kernel kernel = *_pipeline->_kernel;
  if (groups.height != 1 || groups.depth != 1 || threads.height != 1 || threads.depth != 1)
    headless::fail_assertion("dispatchThreadgroups: more than one dimension");
  if (groups.width == 0 || threads.width == 0)
    headless::fail_assertion("dispatchThreadgroups: nothing to do");
  if (threads.width > kernel.threads)
    headless::fail_assertion("dispatchThreadgroups: more threads than the pipeline allows");
  std::vector<std::shared_ptr<headless::Storage>> used;
  NSMutableArray *retained = [NSMutableArray arrayWithObjects:_pipeline, nil];
  for (size_t i = 0; i < kernel.arguments.size(); ++i) {
    id<MTLBuffer> buffer = [_buffers objectForKey:[NSNumber numberWithUnsignedInteger:i]];
    if (!buffer)
      headless::fail_assertion(kernel.name + ": no buffer at index " + std::to_string(i));
    [retained addObject:buffer];
    used.push_back(headless::storage_of(buffer));
  }
  ++headless::counters().kernel_encodes;
  --_commandBuffer->_state->open_encoders;
  std::vector<headless::Storage *> storages;
  for (const std::shared_ptr<headless::Storage> &storage : used) storages.push_back(storage.get());
  const std::vector<size_t> offsets = *_offsets;
  headless::encode(_commandBuffer, retained, used, [=] {
    std::vector<void *> buffers;
    for (size_t i = 0; i < storages.size(); ++i) buffers.push_back(storages[i]->bytes() + offsets[i]);
    // Another order of threads and groups each time, as on a device.
    static std::atomic<uint64_t> launches{0};
    kernel.run(kernel.entry, buffers.data(), (unsigned)groups.width, (unsigned)threads.width,
               kernel.waits, ++launches);
  });
  ++_commandBuffer->_state->open_encoders;
}
@end
