// The description of a convolution that its kernels ask for when they are made.
#pragma once

#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

// Its weights are zeros: each step brings the real ones from device memory.
@interface OnestepConvolutionSource : NSObject <MPSCNNConvolutionDataSource> {
 @private
  MPSCNNConvolutionDescriptor *_descriptor;
  NSMutableData *_weights;
}
- (instancetype)initWithDescriptor:(MPSCNNConvolutionDescriptor *)descriptor
                       weightCount:(NSUInteger)count;
@end
