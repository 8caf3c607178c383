// The state that carries the gradient of a convolution's weights.
#pragma once
#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

@interface MPSCNNConvolutionGradientState (Headless)
// nil where there is no memory.
- (instancetype)initWithConvolution:(MPSCNNConvolution *)convolution;
@end
