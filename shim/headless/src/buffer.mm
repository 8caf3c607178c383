#include "metal.h"
#include "runtime.h"

@implementation HeadlessBuffer
@dynamic label;

- (instancetype)initWithStorage:(std::shared_ptr<headless::Storage>)storage {
  if ((self = [super init])) _storage = new std::shared_ptr<headless::Storage>(std::move(storage));
  return self;
}

- (void)dealloc {
  (*_storage)->release_owner();
  delete _storage;
  [super dealloc];
}

// As on a device: the processor does not see private memory.
- (void *)contents {
  return (*_storage)->mode() == MTLStorageModePrivate ? NULL : (*_storage)->bytes();
}
- (NSUInteger)length {
  return (*_storage)->length();
}
- (NSUInteger)allocatedSize {
  return (*_storage)->length();
}
- (id<MTLDevice>)device {
  return headless::shared_device();
}
- (MTLStorageMode)storageMode {
  return (*_storage)->mode();
}
- (MTLResourceOptions)resourceOptions {
  return (MTLResourceOptions)((*_storage)->mode() << 4);
}
- (NSString *)label {
  return [NSString stringWithUTF8String:(*_storage)->label().c_str()];
}
- (void)setLabel:(NSString *)label {
  (*_storage)->set_label(label ? [label UTF8String] : "");
}

- (void)didModifyRange:(NSRange)range {
  if ([self storageMode] != MTLStorageModeManaged) {
    headless::fail_assertion("didModifyRange: on a buffer that is not managed");
  }
}
@end

namespace headless {

std::shared_ptr<Storage> storage_of(id<MTLBuffer> buffer) {
  if (!buffer) fail_assertion("a buffer is nil");
  if (![(NSObject *)buffer isKindOfClass:[HeadlessBuffer class]])
    fail_assertion("a buffer of another device");
  return *((HeadlessBuffer *)buffer)->_storage;
}

}  // namespace headless
