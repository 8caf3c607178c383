// The part of Apple's MetalPerformanceShadersGraph that the shim uses: names and types as in the SDK.
#pragma once
#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

struct HeadlessNode;
@class MPSGraph, MPSGraphOperation, MPSGraphTensor, MPSGraphTensorData, MPSGraphShapedType;

typedef NS_ENUM(NSUInteger, MPSGraphTensorNamedDataLayout) {
  MPSGraphTensorNamedDataLayoutNCHW = 0,
  MPSGraphTensorNamedDataLayoutNHWC = 1,
  MPSGraphTensorNamedDataLayoutOIHW = 2,
  MPSGraphTensorNamedDataLayoutHWIO = 3,
  MPSGraphTensorNamedDataLayoutCHW = 4,
  MPSGraphTensorNamedDataLayoutHWC = 5,
  MPSGraphTensorNamedDataLayoutHW = 6,
  MPSGraphTensorNamedDataLayoutNCDHW = 7,
  MPSGraphTensorNamedDataLayoutNDHWC = 8,
  MPSGraphTensorNamedDataLayoutOIDHW = 9,
  MPSGraphTensorNamedDataLayoutDHWIO = 10,
};

typedef NS_ENUM(NSUInteger, MPSGraphPaddingStyle) {
  MPSGraphPaddingStyleExplicit = 0,
  MPSGraphPaddingStyleTF_VALID = 1,
  MPSGraphPaddingStyleTF_SAME = 2,
  MPSGraphPaddingStyleExplicitOffset = 3,
  MPSGraphPaddingStyleONNX_SAME_LOWER = 4,
};

typedef NS_ENUM(NSInteger, MPSGraphPaddingMode) {
  MPSGraphPaddingModeConstant = 0,
  MPSGraphPaddingModeReflect = 1,
  MPSGraphPaddingModeSymmetric = 2,
  MPSGraphPaddingModeClampToEdge = 3,
  MPSGraphPaddingModeZero = 4,
  MPSGraphPaddingModePeriodic = 5,
  MPSGraphPaddingModeAntiPeriodic = 6,
};

typedef NS_ENUM(NSUInteger, MPSGraphOptions) {
  MPSGraphOptionsNone = 0,
  MPSGraphOptionsDefault = 1,
  MPSGraphOptionsSynchronizeResults = 1,
  MPSGraphOptionsVerbose = 2,
};

typedef NS_ENUM(NSUInteger, MPSGraphOptimization) {
  MPSGraphOptimizationLevel0 = 0,
  MPSGraphOptimizationLevel1 = 1,
};

typedef NS_ENUM(uint32_t, MPSGraphDeviceType) {
  MPSGraphDeviceTypeMetal = 0,
};

@interface MPSGraphObject : NSObject
@end

@interface MPSGraphType : MPSGraphObject <NSCopying>
@end

@interface MPSGraphShapedType : MPSGraphType {
 @private
  MPSShape *_shape;
  MPSDataType _dataType;
}
@property (copy) MPSShape *shape;
@property MPSDataType dataType;
- (instancetype)initWithShape:(MPSShape *)shape dataType:(MPSDataType)dataType;
@end

@interface MPSGraphDevice : MPSGraphObject {
 @private
  id<MTLDevice> _metalDevice;
}
@property (nonatomic, readonly) MPSGraphDeviceType type;
@property (nonatomic, readonly) id<MTLDevice> metalDevice;
+ (instancetype)deviceWithMTLDevice:(id<MTLDevice>)metalDevice;
@end

@interface MPSGraphTensor : MPSGraphObject <NSCopying> {
 @public
  struct HeadlessNode *_node;
}
@property (nonatomic, readonly, copy) MPSShape *shape;
@property (nonatomic, readonly) MPSDataType dataType;
@property (nonatomic, readonly) MPSGraphOperation *operation;
@end

@interface MPSGraphOperation : MPSGraphObject <NSCopying> {
 @public
  struct HeadlessNode *_node;
}
@property (nonatomic, readonly) NSArray<MPSGraphTensor *> *inputTensors;
@property (nonatomic, readonly) NSArray<MPSGraphTensor *> *outputTensors;
@property (nonatomic, readonly) NSString *name;
@end

typedef NSDictionary<MPSGraphTensor *, MPSGraphTensorData *> MPSGraphTensorDataDictionary;
typedef NSDictionary<MPSGraphTensor *, MPSGraphShapedType *> MPSGraphTensorShapedTypeDictionary;
