// The part of Apple's MetalPerformanceShadersGraph that the shim uses: names and types as in the SDK.
#pragma once
#import <MetalPerformanceShadersGraph/MPSGraphCore.h>

struct HeadlessNDArray;

@interface MPSGraphTensorData : MPSGraphObject {
 @public
  struct HeadlessNDArray *_headless;
}
@property (nonatomic, readonly, copy) MPSShape *shape;
@property (nonatomic, readonly) MPSDataType dataType;
@property (nonatomic, readonly) MPSGraphDevice *device;
- (instancetype)initWithMTLBuffer:(id<MTLBuffer>)buffer shape:(MPSShape *)shape
    dataType:(MPSDataType)dataType;
- (instancetype)initWithMPSNDArray:(MPSNDArray *)ndarray;
- (MPSNDArray *)mpsndarray;
@end
