// The part of Apple's MetalPerformanceShadersGraph that the shim uses: names and types as in the SDK.
#pragma once
#import <MetalPerformanceShadersGraph/MPSGraphCore.h>
#import <MetalPerformanceShadersGraph/MPSGraphExecutable.h>

struct HeadlessSharedGraph;

@interface MPSGraph : MPSGraphObject {
 @public
  struct HeadlessSharedGraph *_headless;
 @private
  MPSGraphOptions _options;
}
@property MPSGraphOptions options;
@property (nonatomic, readonly) NSArray<MPSGraphTensor *> *placeholderTensors;
+ (instancetype)new;
- (instancetype)init;
- (MPSGraphExecutable *)compileWithDevice:(MPSGraphDevice *)device
    feeds:(MPSGraphTensorShapedTypeDictionary *)feeds
    targetTensors:(NSArray<MPSGraphTensor *> *)targetTensors
    targetOperations:(NSArray<MPSGraphOperation *> *)targetOperations
    compilationDescriptor:(MPSGraphCompilationDescriptor *)compilationDescriptor;
@end
