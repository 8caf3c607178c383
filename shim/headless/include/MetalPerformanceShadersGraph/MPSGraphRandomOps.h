// The part of Apple's MetalPerformanceShadersGraph that the shim uses: names and types as in the SDK.
#pragma once
#import <MetalPerformanceShadersGraph/MPSGraph.h>

@interface MPSGraph (MPSGraphRandomOps)
- (NSArray<MPSGraphTensor *> *)randomUniformTensorWithShape:(MPSShape *)shape
    stateTensor:(MPSGraphTensor *)state name:(NSString *)name;
@end
