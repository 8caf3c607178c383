// The part of Apple's MetalPerformanceShadersGraph that the shim uses: names and types as in the SDK.
#pragma once
#import <MetalPerformanceShadersGraph/MPSGraph.h>

struct HeadlessPooling;

@interface MPSGraphPooling2DOpDescriptor : MPSGraphObject <NSCopying> {
 @public
  struct HeadlessPooling *_headless;
}
@property (nonatomic) NSUInteger kernelWidth;
@property (nonatomic) NSUInteger kernelHeight;
@property (nonatomic) NSUInteger strideInX;
@property (nonatomic) NSUInteger strideInY;
@property (nonatomic) NSUInteger dilationRateInX;
@property (nonatomic) NSUInteger dilationRateInY;
@property (nonatomic) NSUInteger paddingLeft;
@property (nonatomic) NSUInteger paddingRight;
@property (nonatomic) NSUInteger paddingTop;
@property (nonatomic) NSUInteger paddingBottom;
@property (nonatomic) MPSGraphPaddingStyle paddingStyle;
@property (nonatomic) MPSGraphTensorNamedDataLayout dataLayout;
@property (nonatomic) BOOL ceilMode;
@property (nonatomic) BOOL includeZeroPadToAverage;
+ (instancetype)descriptorWithKernelWidth:(NSUInteger)kernelWidth
    kernelHeight:(NSUInteger)kernelHeight strideInX:(NSUInteger)strideInX
    strideInY:(NSUInteger)strideInY dilationRateInX:(NSUInteger)dilationRateInX
    dilationRateInY:(NSUInteger)dilationRateInY paddingLeft:(NSUInteger)paddingLeft
    paddingRight:(NSUInteger)paddingRight paddingTop:(NSUInteger)paddingTop
    paddingBottom:(NSUInteger)paddingBottom paddingStyle:(MPSGraphPaddingStyle)paddingStyle
    dataLayout:(MPSGraphTensorNamedDataLayout)dataLayout;
+ (instancetype)descriptorWithKernelWidth:(NSUInteger)kernelWidth
    kernelHeight:(NSUInteger)kernelHeight strideInX:(NSUInteger)strideInX
    strideInY:(NSUInteger)strideInY paddingStyle:(MPSGraphPaddingStyle)paddingStyle
    dataLayout:(MPSGraphTensorNamedDataLayout)dataLayout;
- (void)setExplicitPaddingWithPaddingLeft:(NSUInteger)paddingLeft
    paddingRight:(NSUInteger)paddingRight paddingTop:(NSUInteger)paddingTop
    paddingBottom:(NSUInteger)paddingBottom;
@end

@interface MPSGraph (MPSGraphPoolingOps)
- (MPSGraphTensor *)maxPooling2DWithSourceTensor:(MPSGraphTensor *)source
    descriptor:(MPSGraphPooling2DOpDescriptor *)descriptor name:(NSString *)name;
- (MPSGraphTensor *)maxPooling2DGradientWithGradientTensor:(MPSGraphTensor *)gradient
    sourceTensor:(MPSGraphTensor *)source descriptor:(MPSGraphPooling2DOpDescriptor *)descriptor
    name:(NSString *)name;
- (MPSGraphTensor *)avgPooling2DWithSourceTensor:(MPSGraphTensor *)source
    descriptor:(MPSGraphPooling2DOpDescriptor *)descriptor name:(NSString *)name;
- (MPSGraphTensor *)avgPooling2DGradientWithGradientTensor:(MPSGraphTensor *)gradient
    sourceTensor:(MPSGraphTensor *)source descriptor:(MPSGraphPooling2DOpDescriptor *)descriptor
    name:(NSString *)name;
@end
