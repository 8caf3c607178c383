// The part of Apple's Metal that own kernels use: names and types as in the SDK.
#pragma once
#import <Metal/MTLBlitCommandEncoder.h>
#import <Metal/MTLComputePipeline.h>

typedef struct {
  NSUInteger width, height, depth;
} MTLSize;

static inline MTLSize MTLSizeMake(NSUInteger width, NSUInteger height, NSUInteger depth) {
  MTLSize size = {width, height, depth};
  return size;
}

@protocol MTLComputeCommandEncoder <MTLCommandEncoder>
- (void)setComputePipelineState:(id<MTLComputePipelineState>)state;
- (void)setBuffer:(id<MTLBuffer>)buffer offset:(NSUInteger)offset atIndex:(NSUInteger)index;
- (void)dispatchThreadgroups:(MTLSize)threadgroupsPerGrid
    threadsPerThreadgroup:(MTLSize)threadsPerThreadgroup;
@end
