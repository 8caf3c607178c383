// The part of Apple's MetalPerformanceShadersGraph that the shim uses: names and types as in the SDK.
#pragma once
#import <MetalPerformanceShadersGraph/MPSGraph.h>

struct HeadlessConvolution;

@interface MPSGraphConvolution2DOpDescriptor : MPSGraphObject <NSCopying> {
 @public
  struct HeadlessConvolution *_headless;
}
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
@property (nonatomic) MPSGraphTensorNamedDataLayout weightsLayout;
@property (nonatomic) NSUInteger groups;
+ (instancetype)descriptorWithStrideInX:(NSUInteger)strideInX strideInY:(NSUInteger)strideInY
    dilationRateInX:(NSUInteger)dilationRateInX dilationRateInY:(NSUInteger)dilationRateInY
    groups:(NSUInteger)groups paddingLeft:(NSUInteger)paddingLeft
    paddingRight:(NSUInteger)paddingRight paddingTop:(NSUInteger)paddingTop
    paddingBottom:(NSUInteger)paddingBottom paddingStyle:(MPSGraphPaddingStyle)paddingStyle
    dataLayout:(MPSGraphTensorNamedDataLayout)dataLayout
    weightsLayout:(MPSGraphTensorNamedDataLayout)weightsLayout;
+ (instancetype)descriptorWithStrideInX:(NSUInteger)strideInX strideInY:(NSUInteger)strideInY
    dilationRateInX:(NSUInteger)dilationRateInX dilationRateInY:(NSUInteger)dilationRateInY
    groups:(NSUInteger)groups paddingStyle:(MPSGraphPaddingStyle)paddingStyle
    dataLayout:(MPSGraphTensorNamedDataLayout)dataLayout
    weightsLayout:(MPSGraphTensorNamedDataLayout)weightsLayout;
- (void)setExplicitPaddingWithPaddingLeft:(NSUInteger)paddingLeft
    paddingRight:(NSUInteger)paddingRight paddingTop:(NSUInteger)paddingTop
    paddingBottom:(NSUInteger)paddingBottom;
@end

@interface MPSGraph (MPSGraphConvolutionOps)
- (MPSGraphTensor *)convolution2DWithSourceTensor:(MPSGraphTensor *)source
    weightsTensor:(MPSGraphTensor *)weights
    descriptor:(MPSGraphConvolution2DOpDescriptor *)descriptor name:(NSString *)name;
- (MPSGraphTensor *)convolution2DDataGradientWithIncomingGradientTensor:(MPSGraphTensor *)incomingGradient
    weightsTensor:(MPSGraphTensor *)weights outputShape:(MPSShape *)outputShape
    forwardConvolutionDescriptor:(MPSGraphConvolution2DOpDescriptor *)forwardConvolutionDescriptor
    name:(NSString *)name;
- (MPSGraphTensor *)convolution2DWeightsGradientWithIncomingGradientTensor:(MPSGraphTensor *)incomingGradient
    sourceTensor:(MPSGraphTensor *)source outputShape:(MPSShape *)outputShape
    forwardConvolutionDescriptor:(MPSGraphConvolution2DOpDescriptor *)forwardConvolutionDescriptor
    name:(NSString *)name;
@end
