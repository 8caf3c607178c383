// The part of Apple's MetalPerformanceShaders that the shim uses: names and types as in the SDK.
#pragma once
#import <MetalPerformanceShaders/MPSCNNKernel.h>

@class MPSCNNConvolution, MPSCNNConvolutionGradientState;

struct HeadlessWeights;

typedef NS_ENUM(uint32_t, MPSCNNConvolutionWeightsLayout) {
  MPSCNNConvolutionWeightsLayoutOHWI = 0,
};

typedef NS_OPTIONS(NSUInteger, MPSCNNConvolutionGradientOption) {
  MPSCNNConvolutionGradientOptionGradientWithData = 1,
  MPSCNNConvolutionGradientOptionGradientWithWeightsAndBias = 2,
  MPSCNNConvolutionGradientOptionAll = 3,
};

typedef NS_OPTIONS(NSUInteger, MPSNNConvolutionAccumulatorPrecisionOption) {
  MPSNNConvolutionAccumulatorPrecisionOptionHalf = 0,
  MPSNNConvolutionAccumulatorPrecisionOptionFloat = 1,
};

typedef NSArray<MPSCNNConvolutionGradientState *> MPSCNNConvolutionGradientStateBatch;

@interface MPSCNNConvolutionDescriptor : NSObject <NSCopying> {
 @private
  NSUInteger _kernelWidth, _kernelHeight, _inputFeatureChannels, _outputFeatureChannels, _strideInPixelsX,
      _strideInPixelsY, _groups, _dilationRateX, _dilationRateY;
}
@property (nonatomic) NSUInteger kernelWidth;
@property (nonatomic) NSUInteger kernelHeight;
@property (nonatomic) NSUInteger inputFeatureChannels;
@property (nonatomic) NSUInteger outputFeatureChannels;
@property (nonatomic) NSUInteger strideInPixelsX;
@property (nonatomic) NSUInteger strideInPixelsY;
@property (nonatomic) NSUInteger groups;
@property (nonatomic) NSUInteger dilationRateX;
@property (nonatomic) NSUInteger dilationRateY;
+ (instancetype)cnnConvolutionDescriptorWithKernelWidth:(NSUInteger)kernelWidth
    kernelHeight:(NSUInteger)kernelHeight inputFeatureChannels:(NSUInteger)inputFeatureChannels
    outputFeatureChannels:(NSUInteger)outputFeatureChannels;
@end

@protocol MPSCNNConvolutionDataSource <NSCopying, NSObject>
@required
- (MPSDataType)dataType;
- (MPSCNNConvolutionDescriptor *)descriptor;
- (void *)weights;
- (float *)biasTerms;
- (BOOL)load;
- (void)purge;
- (NSString *)label;
@optional
- (instancetype)copyWithZone:(NSZone *)zone device:(id<MTLDevice>)device;
- (MPSCNNConvolutionWeightsLayout)weightsLayout;
- (MPSDataType)kernelWeightsDataType;
@end

@interface MPSCNNConvolutionWeightsAndBiasesState : MPSState {
 @private
  id<MTLBuffer> _weights, _biases;
  NSUInteger _weightsOffset, _biasesOffset;
}
@property (nonatomic, readonly) id<MTLBuffer> weights;
@property (nonatomic, readonly) id<MTLBuffer> biases;
@property (nonatomic, readonly) NSUInteger weightsOffset;
@property (nonatomic, readonly) NSUInteger biasesOffset;
- (instancetype)initWithWeights:(id<MTLBuffer>)weights biases:(id<MTLBuffer>)biases;
- (instancetype)initWithWeights:(id<MTLBuffer>)weights weightsOffset:(NSUInteger)weightsOffset
    biases:(id<MTLBuffer>)biases biasesOffset:(NSUInteger)biasesOffset
    cnnConvolutionDescriptor:(MPSCNNConvolutionDescriptor *)descriptor;
@end

@interface MPSNNGradientState : MPSState
@end

@interface MPSCNNConvolutionGradientState : MPSNNGradientState {
 @private
  id<MTLBuffer> _gradientForWeights, _gradientForBiases;
  MPSCNNConvolution *_convolution;
}
@property (nonatomic, readonly) id<MTLBuffer> gradientForWeights;
@property (nonatomic, readonly) id<MTLBuffer> gradientForBiases;
@property (nonatomic, readonly, retain) MPSCNNConvolution *convolution;
@property (nonatomic, readonly) MPSCNNConvolutionWeightsLayout gradientForWeightsLayout;
@end

@interface MPSCNNConvolution : MPSCNNKernel {
 @public
  struct HeadlessWeights *_headless;
 @private
  id<MPSCNNConvolutionDataSource> _dataSource;
  MPSNNConvolutionAccumulatorPrecisionOption _accumulatorPrecisionOption;
}
@property (nonatomic, readonly) NSUInteger inputFeatureChannels;
@property (nonatomic, readonly) NSUInteger outputFeatureChannels;
@property (nonatomic, readonly) NSUInteger groups;
@property (nonatomic, readonly, retain) id<MPSCNNConvolutionDataSource> dataSource;
@property (nonatomic) MPSNNConvolutionAccumulatorPrecisionOption accumulatorPrecisionOption;
- (instancetype)initWithDevice:(id<MTLDevice>)device
    weights:(id<MPSCNNConvolutionDataSource>)weights;
- (MPSCNNConvolutionGradientState *)resultStateForSourceImage:(MPSImage *)sourceImage
    sourceStates:(NSArray<MPSState *> *)sourceStates destinationImage:(MPSImage *)destinationImage;
- (MPSCNNConvolutionGradientStateBatch *)resultStateBatchForSourceImage:(MPSImageBatch *)sourceImage
    sourceStates:(NSArray<MPSStateBatch *> *)sourceStates
    destinationImage:(MPSImageBatch *)destinationImage;
- (void)reloadWeightsAndBiasesWithCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
    state:(MPSCNNConvolutionWeightsAndBiasesState *)state;
- (void)reloadWeightsAndBiasesFromDataSource;
- (void)encodeBatchToCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
    sourceImages:(MPSImageBatch *)sourceImages destinationImages:(MPSImageBatch *)destinationImages;
- (void)encodeBatchToCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
    sourceImages:(MPSImageBatch *)sourceImages destinationStates:(MPSStateBatch *)destinationStates
    destinationImages:(MPSImageBatch *)destinationImages;
- (void)encodeToCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
    sourceImage:(MPSImage *)sourceImage destinationImage:(MPSImage *)destinationImage;
@end

@interface MPSCNNConvolutionGradient : MPSCNNGradientKernel {
 @public
  struct HeadlessWeights *_headless;
 @private
  id<MPSCNNConvolutionDataSource> _dataSource;
  MPSCNNConvolutionGradientOption _gradientOption;
}
@property (nonatomic, readonly) NSUInteger sourceGradientFeatureChannels;
@property (nonatomic, readonly) NSUInteger sourceImageFeatureChannels;
@property (nonatomic, readonly) NSUInteger groups;
@property (nonatomic, readonly, retain) id<MPSCNNConvolutionDataSource> dataSource;
@property (nonatomic) MPSCNNConvolutionGradientOption gradientOption;
- (instancetype)initWithDevice:(id<MTLDevice>)device
    weights:(id<MPSCNNConvolutionDataSource>)weights;
- (void)reloadWeightsAndBiasesWithCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
    state:(MPSCNNConvolutionWeightsAndBiasesState *)state;
- (void)reloadWeightsAndBiasesFromDataSource;
- (void)encodeBatchToCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
    sourceGradients:(MPSImageBatch *)sourceGradients sourceImages:(MPSImageBatch *)sourceImages
    gradientStates:(MPSStateBatch *)gradientStates
    destinationGradients:(MPSImageBatch *)destinationGradients;
@end
