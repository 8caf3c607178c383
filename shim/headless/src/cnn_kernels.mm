// The plain classes around MPSCNNConvolution: kernels, descriptors, states.
#include "metal.h"
#include "runtime.h"

#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

@implementation MPSKernel
@synthesize device = _device, label = _label;

- (instancetype)initWithDevice:(id<MTLDevice>)device {
  if ((self = [super init])) _device = [device retain];
  return self;
}

- (void)dealloc {
  [_device release];
  [_label release];
  [super dealloc];
}
@end

@implementation MPSCNNKernel
@synthesize offset = _offset, edgeMode = _edgeMode;
@end

@implementation MPSCNNBinaryKernel
@synthesize primaryOffset = _primaryOffset, secondaryOffset = _secondaryOffset;
@end

@implementation MPSCNNGradientKernel
@synthesize kernelOffsetX = _kernelOffsetX, kernelOffsetY = _kernelOffsetY;
@end

@implementation MPSState
@synthesize readCount = _readCount, isTemporary = _isTemporary, label = _label;

- (void)dealloc {
  [_label release];
  [super dealloc];
}
@end

@implementation MPSNNGradientState
@end

@implementation MPSCNNConvolutionDescriptor
@synthesize kernelWidth = _kernelWidth, kernelHeight = _kernelHeight,
            inputFeatureChannels = _inputFeatureChannels,
            outputFeatureChannels = _outputFeatureChannels, strideInPixelsX = _strideInPixelsX,
            strideInPixelsY = _strideInPixelsY, groups = _groups, dilationRateX = _dilationRateX,
            dilationRateY = _dilationRateY;

+ (instancetype)cnnConvolutionDescriptorWithKernelWidth:(NSUInteger)kernelWidth
                                           kernelHeight:(NSUInteger)kernelHeight
                                   inputFeatureChannels:(NSUInteger)inputFeatureChannels
                                  outputFeatureChannels:(NSUInteger)outputFeatureChannels {
  if (kernelWidth == 0 || kernelHeight == 0 || inputFeatureChannels == 0 ||
      outputFeatureChannels == 0) {
    headless::fail_assertion("MPSCNNConvolutionDescriptor: a size of 0");
  }
  MPSCNNConvolutionDescriptor *descriptor = [[[self alloc] init] autorelease];
  descriptor->_kernelWidth = kernelWidth;
  descriptor->_kernelHeight = kernelHeight;
  descriptor->_inputFeatureChannels = inputFeatureChannels;
  descriptor->_outputFeatureChannels = outputFeatureChannels;
  descriptor->_strideInPixelsX = descriptor->_strideInPixelsY = descriptor->_groups = 1;
  descriptor->_dilationRateX = descriptor->_dilationRateY = 1;
  return descriptor;
}

- (id)copyWithZone:(NSZone *)zone {
  MPSCNNConvolutionDescriptor *copy = [[MPSCNNConvolutionDescriptor
      cnnConvolutionDescriptorWithKernelWidth:_kernelWidth
                                 kernelHeight:_kernelHeight
                         inputFeatureChannels:_inputFeatureChannels
                        outputFeatureChannels:_outputFeatureChannels] retain];
  [copy setStrideInPixelsX:_strideInPixelsX];
  [copy setStrideInPixelsY:_strideInPixelsY];
  [copy setGroups:_groups];
  [copy setDilationRateX:_dilationRateX];
  [copy setDilationRateY:_dilationRateY];
  return copy;
}
@end

@implementation MPSCNNConvolutionWeightsAndBiasesState
@synthesize weights = _weights, biases = _biases, weightsOffset = _weightsOffset,
            biasesOffset = _biasesOffset;

- (instancetype)initWithWeights:(id<MTLBuffer>)weights biases:(id<MTLBuffer>)biases {
  return [self initWithWeights:weights
                 weightsOffset:0
                        biases:biases
                  biasesOffset:0
      cnnConvolutionDescriptor:nil];
}

- (instancetype)initWithWeights:(id<MTLBuffer>)weights
                  weightsOffset:(NSUInteger)weightsOffset
                         biases:(id<MTLBuffer>)biases
                   biasesOffset:(NSUInteger)biasesOffset
       cnnConvolutionDescriptor:(MPSCNNConvolutionDescriptor *)descriptor {
  if ((self = [super init])) {
    if (weightsOffset % 4 != 0 || biasesOffset % 4 != 0) {
      headless::fail_assertion(
          "MPSCNNConvolutionWeightsAndBiasesState: offsets must be multiples of 4");
    }
    _weights = [weights retain];
    _biases = [biases retain];
    _weightsOffset = weightsOffset;
    _biasesOffset = biasesOffset;
  }
  return self;
}

- (void)dealloc {
  [_weights release];
  [_biases release];
  [super dealloc];
}
@end
