// The part of Apple's MetalPerformanceShadersGraph that the shim uses: names and types as in the SDK.
#pragma once
#import <MetalPerformanceShadersGraph/MPSGraph.h>

@interface MPSGraph (MPSGraphGatherOps)
- (MPSGraphTensor *)gatherWithUpdatesTensor:(MPSGraphTensor *)updatesTensor
    indicesTensor:(MPSGraphTensor *)indicesTensor axis:(NSUInteger)axis
    batchDimensions:(NSUInteger)batchDimensions name:(NSString *)name;
@end
