// The part of Apple's MetalPerformanceShaders that the shim uses: names and types as in the SDK.
#pragma once
#import <MetalPerformanceShaders/MPSCoreTypes.h>

@interface MPSCommandBuffer : NSObject <MTLCommandBuffer> {
 @private
  id<MTLCommandBuffer> _current;
}
@property (nonatomic, readonly, retain) id<MTLCommandBuffer> commandBuffer;
@property (nonatomic, readonly, retain) id<MTLCommandBuffer> rootCommandBuffer;
+ (instancetype)commandBufferWithCommandBuffer:(id<MTLCommandBuffer>)commandBuffer;
+ (instancetype)commandBufferFromCommandQueue:(id<MTLCommandQueue>)commandQueue;
- (instancetype)initWithCommandBuffer:(id<MTLCommandBuffer>)commandBuffer;
- (void)commitAndContinue;
@end
