// The part of Apple's MetalPerformanceShadersGraph that the shim uses: names and types as in the SDK.
#pragma once
#import <MetalPerformanceShadersGraph/MPSGraphCore.h>
#import <MetalPerformanceShadersGraph/MPSGraphTensorData.h>

struct HeadlessExecutable;

@interface MPSGraphCompilationDescriptor : MPSGraphObject <NSCopying> {
 @private
  MPSGraphOptimization _optimizationLevel;
  BOOL _waitForCompilationCompletion;
}
@property (nonatomic) MPSGraphOptimization optimizationLevel;
@property (nonatomic) BOOL waitForCompilationCompletion;
- (void)disableTypeInference;
@end

typedef void (^MPSGraphExecutableCompletionHandler)(NSArray<MPSGraphTensorData *> *results,
                                                    NSError *error);

@interface MPSGraphExecutableExecutionDescriptor : MPSGraphObject <NSCopying> {
 @private
  MPSGraphExecutableCompletionHandler _completionHandler;
  BOOL _waitUntilCompleted;
}
@property (copy) MPSGraphExecutableCompletionHandler completionHandler;
@property BOOL waitUntilCompleted;
@end

@interface MPSGraphExecutable : MPSGraphObject {
 @public
  struct HeadlessExecutable *_headless;
 @private
  MPSGraphOptions _options;
}
@property MPSGraphOptions options;
@property (readonly) NSArray<MPSGraphTensor *> *feedTensors;
@property (readonly) NSArray<MPSGraphTensor *> *targetTensors;
- (void)specializeWithDevice:(MPSGraphDevice *)device
    inputTypes:(NSArray<MPSGraphType *> *)inputTypes
    compilationDescriptor:(MPSGraphCompilationDescriptor *)compilationDescriptor;
- (NSArray<MPSGraphTensorData *> *)encodeToCommandBuffer:(MPSCommandBuffer *)commandBuffer
    inputsArray:(NSArray<MPSGraphTensorData *> *)inputsArray
    resultsArray:(NSArray<MPSGraphTensorData *> *)resultsArray
    executionDescriptor:(MPSGraphExecutableExecutionDescriptor *)executionDescriptor;
- (NSArray<MPSGraphTensorData *> *)runWithMTLCommandQueue:(id<MTLCommandQueue>)commandQueue
    inputsArray:(NSArray<MPSGraphTensorData *> *)inputsArray
    resultsArray:(NSArray<MPSGraphTensorData *> *)resultsArray
    executionDescriptor:(MPSGraphExecutableExecutionDescriptor *)executionDescriptor;
- (NSArray<MPSGraphTensorData *> *)runAsyncWithMTLCommandQueue:(id<MTLCommandQueue>)commandQueue
    inputsArray:(NSArray<MPSGraphTensorData *> *)inputsArray
    resultsArray:(NSArray<MPSGraphTensorData *> *)resultsArray
    executionDescriptor:(MPSGraphExecutableExecutionDescriptor *)executionDescriptor;
@end
