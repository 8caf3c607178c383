// The part of Apple's MetalPerformanceShaders that the shim uses: names and types as in the SDK.
#pragma once
#import <MetalPerformanceShaders/MPSCoreTypes.h>

typedef NS_ENUM(NSUInteger, MPSImageEdgeMode) {
  MPSImageEdgeModeZero = 0,
  MPSImageEdgeModeClamp = 1,
  MPSImageEdgeModeMirror = 2,
  MPSImageEdgeModeMirrorWithEdge = 3,
  MPSImageEdgeModeConstant = 4,
};

@interface MPSKernel : NSObject {
 @private
  id<MTLDevice> _device;
  NSString *_label;
}
@property (nonatomic, readonly, retain) id<MTLDevice> device;
@property (copy) NSString *label;
- (instancetype)initWithDevice:(id<MTLDevice>)device;
@end
