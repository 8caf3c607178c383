// The part of Apple's MetalPerformanceShaders that the shim uses: names and types as in the SDK.
#pragma once
#import <MetalPerformanceShaders/MPSCoreTypes.h>

@interface MPSState : NSObject {
 @private
  NSString *_label;
  NSUInteger _readCount;
  BOOL _isTemporary;
}
@property (nonatomic) NSUInteger readCount;
@property (nonatomic, readonly) BOOL isTemporary;
@property (copy) NSString *label;
@end
