// The part of Apple's MetalPerformanceShadersGraph that the shim uses: names and types as in the SDK.
#pragma once
#import <MetalPerformanceShadersGraph/MPSGraph.h>

@interface MPSGraph (MPSGraphActivationOps)
- (MPSGraphTensor *)reLUWithTensor:(MPSGraphTensor *)tensor name:(NSString *)name;
- (MPSGraphTensor *)sigmoidWithTensor:(MPSGraphTensor *)tensor name:(NSString *)name;
- (MPSGraphTensor *)softMaxWithTensor:(MPSGraphTensor *)tensor axis:(NSInteger)axis
    name:(NSString *)name;
@end
