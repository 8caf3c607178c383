// MPSGraphTensorData: a typed view of a buffer or an array.
#include "ndarray.h"

#import <MetalPerformanceShadersGraph/MetalPerformanceShadersGraph.h>
#include "metal.h"
#include "runtime.h"

using namespace headless;

@implementation MPSGraphTensorData

// The buffer is not retained: Apple promises nothing, so the caller must keep it.
- (instancetype)initWithMTLBuffer:(id<MTLBuffer>)buffer
                            shape:(MPSShape *)shape
                         dataType:(MPSDataType)dataType {
  if ((self = [super init])) {
    visit(dataType, [](auto) {});
    _headless = new HeadlessNDArray{{shape_from(shape), dataType}, storage_of(buffer)};
    if (_headless->bytes() > _headless->storage->length()) {
      fail_assertion("MPSGraphTensorData: a buffer of " +
                     std::to_string(_headless->storage->length()) + " bytes is too small for " +
                     text(_headless->type));
    }
  }
  return self;
}

- (instancetype)initWithMPSNDArray:(MPSNDArray *)ndarray {
  if ((self = [super init])) {
    if (!ndarray) fail_assertion("initWithMPSNDArray: nil");
    const HeadlessNDArray &array = *ndarray->_headless;
    _headless = new HeadlessNDArray{array.type, array.storage, array.offset, [ndarray retain]};
  }
  return self;
}

- (void)dealloc {
  [_headless->owner release];
  delete _headless;
  [super dealloc];
}

- (MPSShape *)shape {
  return numbers_from(_headless->type.shape);
}
- (MPSDataType)dataType {
  return _headless->type.dtype;
}
- (MPSGraphDevice *)device {
  return [MPSGraphDevice deviceWithMTLDevice:shared_device()];
}

- (MPSNDArray *)mpsndarray {
  if ([_headless->owner isKindOfClass:[MPSNDArray class]])
    return [[_headless->owner retain] autorelease];
  MPSNDArray *array = [[[MPSNDArray alloc] init] autorelease];
  array->_headless = new HeadlessNDArray{_headless->type, _headless->storage, _headless->offset,
                                         [_headless->owner retain]};
  return array;
}
@end
