// The part of Apple's MetalPerformanceShaders that the shim uses: names and types as in the SDK.
#pragma once
#import <MetalPerformanceShaders/MPSCoreTypes.h>

struct HeadlessNDArray;

@interface MPSNDArrayDescriptor : NSObject {
 @public
  MPSDataType _dataType;
  NSUInteger _lengths[16];
  NSUInteger _numberOfDimensions;
  BOOL _preferPackedRows;
}
@property (nonatomic) MPSDataType dataType;
@property (nonatomic) NSUInteger numberOfDimensions;
@property (nonatomic) BOOL preferPackedRows;
+ (instancetype)descriptorWithDataType:(MPSDataType)dataType shape:(NSArray<NSNumber *> *)shape;
+ (instancetype)descriptorWithDataType:(MPSDataType)dataType
    dimensionCount:(NSUInteger)numberOfDimensions dimensionSizes:(NSUInteger *)dimensionSizes;
- (NSUInteger)lengthOfDimension:(NSUInteger)dimensionIndex;
@end

@interface MPSNDArray : NSObject {
 @public
  struct HeadlessNDArray *_headless;
}
@property (nonatomic, readonly) MPSDataType dataType;
@property (nonatomic, readonly) size_t dataTypeSize;
@property (nonatomic, readonly) NSUInteger numberOfDimensions;
@property (nonatomic, readonly, retain) id<MTLDevice> device;
@property (copy) NSString *label;
- (instancetype)initWithDevice:(id<MTLDevice>)device descriptor:(MPSNDArrayDescriptor *)descriptor;
- (instancetype)initWithBuffer:(id<MTLBuffer>)buffer offset:(NSUInteger)offset
    descriptor:(MPSNDArrayDescriptor *)descriptor;
- (NSUInteger)lengthOfDimension:(NSUInteger)dimensionIndex;
- (MPSNDArrayDescriptor *)descriptor;
- (NSUInteger)resourceSize;
- (void)exportDataWithCommandBuffer:(id<MTLCommandBuffer>)cmdBuf toBuffer:(id<MTLBuffer>)buffer
    destinationDataType:(MPSDataType)destinationDataType offset:(NSUInteger)offset
    rowStrides:(NSInteger *)rowStrides;
- (void)importDataWithCommandBuffer:(id<MTLCommandBuffer>)cmdBuf fromBuffer:(id<MTLBuffer>)buffer
    sourceDataType:(MPSDataType)sourceDataType offset:(NSUInteger)offset
    rowStrides:(NSInteger *)rowStrides;
- (void)readBytes:(void *)buffer strideBytes:(NSInteger *)strideBytesPerDimension;
- (void)writeBytes:(void *)buffer strideBytes:(NSInteger *)strideBytesPerDimension;
- (void)synchronizeOnCommandBuffer:(id<MTLCommandBuffer>)commandBuffer;
@end

@interface MPSNDArray (HeadlessImages)
- (void)exportDataWithCommandBuffer:(id<MTLCommandBuffer>)cmdBuf toImages:(MPSImageBatch *)images
    offset:(MPSImageCoordinate)offset;
- (void)importDataWithCommandBuffer:(id<MTLCommandBuffer>)cmdBuf fromImages:(MPSImageBatch *)images
    offset:(MPSImageCoordinate)offset;
@end
