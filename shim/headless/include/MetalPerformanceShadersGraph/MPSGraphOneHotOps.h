// The part of Apple's MetalPerformanceShadersGraph that the shim uses: names and types as in the SDK.
#pragma once
#import <MetalPerformanceShadersGraph/MPSGraph.h>

@interface MPSGraph (MPSGraphOneHotOps)
- (MPSGraphTensor *)oneHotWithIndicesTensor:(MPSGraphTensor *)indicesTensor depth:(NSUInteger)depth
    dataType:(MPSDataType)dataType name:(NSString *)name;
- (MPSGraphTensor *)oneHotWithIndicesTensor:(MPSGraphTensor *)indicesTensor depth:(NSUInteger)depth
    axis:(NSUInteger)axis dataType:(MPSDataType)dataType name:(NSString *)name;
- (MPSGraphTensor *)oneHotWithIndicesTensor:(MPSGraphTensor *)indicesTensor depth:(NSUInteger)depth
    axis:(NSUInteger)axis dataType:(MPSDataType)dataType onValue:(double)onValue
    offValue:(double)offValue name:(NSString *)name;
@end
