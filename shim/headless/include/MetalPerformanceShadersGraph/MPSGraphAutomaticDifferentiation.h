// The part of Apple's MetalPerformanceShadersGraph that the shim uses: names and types as in the SDK.
#pragma once
#import <MetalPerformanceShadersGraph/MPSGraph.h>

@interface MPSGraph (MPSGraphAutomaticDifferentiation)
- (NSDictionary<MPSGraphTensor *,MPSGraphTensor *> *)gradientForPrimaryTensor:(MPSGraphTensor *)primaryTensor
    withTensors:(NSArray<MPSGraphTensor *> *)tensors name:(NSString *)name;
@end
