// The part of Apple's MetalPerformanceShaders that the shim uses: names and types as in the SDK.
#pragma once
#import <MetalPerformanceShaders/MPSImage.h>
#import <MetalPerformanceShaders/MPSKernel.h>
#import <MetalPerformanceShaders/MPSState.h>

@interface MPSCNNKernel : MPSKernel {
 @private
  MPSOffset _offset;
  MPSImageEdgeMode _edgeMode;
}
@property (nonatomic) MPSOffset offset;
@property (nonatomic) MPSImageEdgeMode edgeMode;
@end

@interface MPSCNNBinaryKernel : MPSKernel {
 @private
  MPSOffset _primaryOffset, _secondaryOffset;
}
@property (nonatomic) MPSOffset primaryOffset;
@property (nonatomic) MPSOffset secondaryOffset;
@end

@interface MPSCNNGradientKernel : MPSCNNBinaryKernel {
 @private
  NSInteger _kernelOffsetX, _kernelOffsetY;
}
@property (nonatomic) NSInteger kernelOffsetX;
@property (nonatomic) NSInteger kernelOffsetY;
@end
