#include "command_buffer.h"
#include "runtime.h"
#include <string.h>

namespace headless {
namespace {

void check_range(const Storage &storage, NSUInteger offset, NSUInteger size, const char *what) {
  if (offset > storage.length() || size > storage.length() - offset) {
    fail_assertion(std::string(what) + ": " + std::to_string(offset) + " + " +
                   std::to_string(size) + " bytes of a buffer of " +
                   std::to_string(storage.length()));
  }
  if (offset % 4 != 0 || size % 4 != 0) {
    fail_assertion(std::string(what) + ": offset and size must be multiples of 4 on macOS");
  }
}

}  // namespace
}  // namespace headless

@implementation HeadlessBlitEncoder
@synthesize label = _label;

- (instancetype)initWithCommandBuffer:(HeadlessCommandBuffer *)commandBuffer {
  if ((self = [super init])) _commandBuffer = [commandBuffer retain];
  return self;
}

- (void)dealloc {
  if (!_ended) headless::fail_assertion("a command encoder was released without endEncoding");
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

// Work of an open encoder: `headless::encode` refuses while one is open.
- (void)encode:(std::function<void()>)work using:(NSArray<id<MTLBuffer>> *)buffers {
  if (_ended) headless::fail_assertion("a command after endEncoding");
  --_commandBuffer->_state->open_encoders;
  std::vector<std::shared_ptr<headless::Storage>> used;
  for (id<MTLBuffer> buffer in buffers) used.push_back(headless::storage_of(buffer));
  headless::encode(_commandBuffer, buffers, used, std::move(work));
  ++_commandBuffer->_state->open_encoders;
}

- (void)synchronizeResource:(id<MTLResource>)resource {
  if ([resource storageMode] != MTLStorageModeManaged) {
    headless::fail_assertion("synchronizeResource: on a resource that is not managed");
  }
}

- (void)fillBuffer:(id<MTLBuffer>)buffer range:(NSRange)range value:(uint8_t)value {
  headless::Storage *storage = headless::storage_of(buffer).get();
  headless::check_range(*storage, range.location, range.length, "fillBuffer");
  [self encode:[=] { memset(storage->bytes() + range.location, value, range.length); }
         using:[NSArray arrayWithObjects:buffer, nil]];
}

- (void)copyFromBuffer:(id<MTLBuffer>)sourceBuffer
          sourceOffset:(NSUInteger)sourceOffset
              toBuffer:(id<MTLBuffer>)destinationBuffer
     destinationOffset:(NSUInteger)destinationOffset
                  size:(NSUInteger)size {
  headless::Storage *source = headless::storage_of(sourceBuffer).get();
  headless::Storage *destination = headless::storage_of(destinationBuffer).get();
  headless::check_range(*source, sourceOffset, size, "copyFromBuffer");
  headless::check_range(*destination, destinationOffset, size, "copyFromBuffer");
  if (source == destination && sourceOffset < destinationOffset + size &&
      destinationOffset < sourceOffset + size) {
    headless::fail_assertion("copyFromBuffer: the ranges overlap");
  }
  [self encode:[=] {
    memcpy(destination->bytes() + destinationOffset, source->bytes() + sourceOffset, size);
  }
         using:[NSArray arrayWithObjects:sourceBuffer, destinationBuffer, nil]];
}
@end
