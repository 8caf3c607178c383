// MPSNDArray: an array over an allocation of its own or over a part of a buffer.
#include "ndarray.h"

#import <MetalPerformanceShaders/MetalPerformanceShaders.h>
#include "metal.h"
#include "runtime.h"
#include <algorithm>

headless::Array HeadlessNDArray::view() const {
  // Shares ownership of the storage, points at the first element.
  return {type, std::shared_ptr<uint8_t>(storage, storage->bytes() + offset)};
}

using namespace headless;

@implementation MPSNDArrayDescriptor
@synthesize dataType = _dataType, numberOfDimensions = _numberOfDimensions,
            preferPackedRows = _preferPackedRows;

+ (instancetype)descriptorWithDataType:(MPSDataType)dataType shape:(NSArray<NSNumber *> *)shape {
  // Dimension 0 is the fastest, which stands last in a shape.
  Shape lengths = shape_from(shape);
  std::reverse(lengths.begin(), lengths.end());
  std::vector<NSUInteger> sizes(lengths.begin(), lengths.end());
  return [self descriptorWithDataType:dataType
                       dimensionCount:sizes.size()
                       dimensionSizes:sizes.data()];
}

+ (instancetype)descriptorWithDataType:(MPSDataType)dataType
                        dimensionCount:(NSUInteger)numberOfDimensions
                        dimensionSizes:(NSUInteger *)dimensionSizes {
  if (numberOfDimensions > 16) fail_assertion("MPSNDArrayDescriptor: more than 16 dimensions");
  visit(dataType, [](auto) {});
  MPSNDArrayDescriptor *descriptor = [[[self alloc] init] autorelease];
  descriptor->_dataType = dataType;
  descriptor->_numberOfDimensions = numberOfDimensions;
  std::copy(dimensionSizes, dimensionSizes + numberOfDimensions, descriptor->_lengths);
  return descriptor;
}

- (NSUInteger)lengthOfDimension:(NSUInteger)dimensionIndex {
  return dimensionIndex < _numberOfDimensions ? _lengths[dimensionIndex] : 1;
}
@end

namespace {

Type type_of(MPSNDArrayDescriptor *descriptor) {
  Type type{{}, [descriptor dataType]};
  for (NSUInteger i = [descriptor numberOfDimensions]; i-- > 0;) {
    type.shape.push_back((int64_t)[descriptor lengthOfDimension:i]);
  }
  return type;
}

// Copies between an array and a packed region of a buffer on the device.
void encode_copy(id<MTLCommandBuffer> command_buffer, MPSNDArray *array, id<MTLBuffer> buffer,
                 NSUInteger offset, MPSDataType dtype, NSInteger *strides, bool to_buffer) {
  HeadlessNDArray &state = *array->_headless;
  std::shared_ptr<Storage> storage = storage_of(buffer);
  if (strides)
    fail_assertion("copies between arrays and buffers are packed: rowStrides must be NULL");
  if (dtype != state.type.dtype) fail_assertion("copies between arrays and buffers do not convert");
  if (offset > storage->length() || state.bytes() > storage->length() - offset) {
    fail_assertion("copy between an array of " + text(state.type) +
                   " and a buffer that is too small");
  }
  ++counters().kernel_encodes;
  uint8_t *device = storage->bytes() + offset, *own = state.storage->bytes() + state.offset;
  const size_t bytes = state.bytes();
  encode(
      command_buffer, [NSArray arrayWithObjects : array, buffer, nil], { storage, state.storage },
      [=] { to_buffer ? memmove(device, own, bytes) : memmove(own, device, bytes); });
}

}  // namespace

@implementation MPSNDArray

- (instancetype)initWithDevice:(id<MTLDevice>)device descriptor:(MPSNDArrayDescriptor *)descriptor {
  if ((self = [super init])) {
    Type type = type_of(descriptor);
    const size_t bytes = (size_t)elements(type.shape) * size_of(type.dtype);
    std::shared_ptr<Storage> storage = Storage::allocate(bytes, MTLStorageModePrivate);
    if (!storage) {
      [self release];
      return nil;
    }
    _headless = new HeadlessNDArray{std::move(type), std::move(storage), 0, nil, true};
  }
  return self;
}

- (instancetype)initWithBuffer:(id<MTLBuffer>)buffer
                        offset:(NSUInteger)offset
                    descriptor:(MPSNDArrayDescriptor *)descriptor {
  if ((self = [super init])) {
    _headless =
        new HeadlessNDArray{type_of(descriptor), storage_of(buffer), offset, [(id)buffer retain]};
    if (offset > [buffer length] || _headless->bytes() > [buffer length] - offset) {
      fail_assertion("MPSNDArray: a buffer that is too small for " + text(_headless->type));
    }
  }
  return self;
}

- (void)dealloc {
  if (_headless) {
    if (_headless->owns_storage) _headless->storage->release_owner();
    [_headless->owner release];
    [_headless->label release];
    delete _headless;
  }
  [super dealloc];
}

- (MPSDataType)dataType {
  return _headless->type.dtype;
}
- (size_t)dataTypeSize {
  return size_of(_headless->type.dtype);
}
- (NSUInteger)numberOfDimensions {
  return _headless->type.shape.size();
}
- (id<MTLDevice>)device {
  return shared_device();
}
- (NSUInteger)resourceSize {
  return _headless->bytes();
}
- (NSString *)label {
  return _headless->label;
}

- (void)setLabel:(NSString *)label {
  [_headless->label autorelease];
  _headless->label = [label copy];
}

- (NSUInteger)lengthOfDimension:(NSUInteger)dimensionIndex {
  const Shape &shape = _headless->type.shape;
  return dimensionIndex < shape.size() ? (NSUInteger)shape[shape.size() - 1 - dimensionIndex] : 1;
}

- (MPSNDArrayDescriptor *)descriptor {
  return [MPSNDArrayDescriptor descriptorWithDataType:[self dataType]
                                                shape:numbers_from(_headless->type.shape)];
}

- (void)readBytes:(void *)buffer strideBytes:(NSInteger *)strideBytesPerDimension {
  if (strideBytesPerDimension) fail_assertion("readBytes: only packed (strideBytes NULL)");
  ++counters().host_copies;
  memcpy(buffer, _headless->storage->bytes() + _headless->offset, _headless->bytes());
}

- (void)writeBytes:(void *)buffer strideBytes:(NSInteger *)strideBytesPerDimension {
  if (strideBytesPerDimension) fail_assertion("writeBytes: only packed (strideBytes NULL)");
  ++counters().host_copies;
  memcpy(_headless->storage->bytes() + _headless->offset, buffer, _headless->bytes());
}

- (void)synchronizeOnCommandBuffer:(id<MTLCommandBuffer>)commandBuffer {
  (void)unwrap(commandBuffer);  // memory is unified
}

- (void)exportDataWithCommandBuffer:(id<MTLCommandBuffer>)cmdBuf
                           toBuffer:(id<MTLBuffer>)buffer
                destinationDataType:(MPSDataType)destinationDataType
                             offset:(NSUInteger)offset
                         rowStrides:(NSInteger *)rowStrides {
  encode_copy(cmdBuf, self, buffer, offset, destinationDataType, rowStrides, true);
}

- (void)importDataWithCommandBuffer:(id<MTLCommandBuffer>)cmdBuf
                         fromBuffer:(id<MTLBuffer>)buffer
                     sourceDataType:(MPSDataType)sourceDataType
                             offset:(NSUInteger)offset
                         rowStrides:(NSInteger *)rowStrides {
  encode_copy(cmdBuf, self, buffer, offset, sourceDataType, rowStrides, false);
}
@end
