// Hand-written declarations with mistakes: each line with `// seed NAME` must give one complaint that
// has NAME in it, and nothing else may. Read like the headless headers.
#pragma once
#import <Foundation/Foundation.h>

@protocol MTLDevice, MTLBuffer, MTLCommandQueue;
@class MPSGraphTensorData, MPSGraphExecutable;

typedef NSArray<NSNumber *> MPSShape;
typedef NS_ENUM(uint32_t, MPSDataType) {
  MPSDataTypeFloat32 = 0x10000020,
  MPSDataTypeFloat16 = 0x10000020,    // seed MPSDataTypeFloat16
  MPSDataTypeFloat64 = 0x10000040,    // seed MPSDataTypeFloat64
};
typedef struct {
  NSInteger x, z, y;                  // seed MPSOffset
} MPSOffset;

SDK_EXTERN id<MTLDevice> MTLCreateDefaultDevice(void);       // seed MTLCreateDefaultDevice
SDK_EXTERN BOOL MPSSupportsMTLDevice(id<MTLCommandQueue> device);  // seed MPSSupportsMTLDevice

@protocol MTLDevice <NSObject>
- (id<MTLBuffer>)newBufferWithLength:(uint32_t)length options:(NSUInteger)options;  // seed newBufferWithLength:options:
- (id<MTLCommandQueue>)newCommandQueue;
@property (readonly) NSUInteger maxBufferLength;
@property (readonly) BOOL registryID;  // seed registryID
@end

@interface MPSGraphObject : NSObject
@end
@interface MPSGraphTensor : MPSGraphObject
@property (readonly, copy) NSArray<NSString *> *shape;       // seed -[MPSGraphTensor shape]
@property (readonly) MPSDataType dataType;
@end
@interface MPSGraph : MPSGraphTensor   // seed MPSGraph inherits
- (MPSGraphTensor *)reLUWithTensor:(MPSGraphTensor *)tensor;  // seed reLUWithTensor:
- (MPSGraphTensor *)tanhWithTensor:(MPSGraphTensor *)tensor name:(NSString *)name;
- (MPSGraphTensorData *)sigmoidWithTensor:(MPSGraphTensor *)tensor name:(NSString *)name;  // seed sigmoidWithTensor:name:
+ (MPSGraphTensor *)sinWithTensor:(MPSGraphTensor *)tensor name:(NSString *)name;  // seed +[MPSGraph sinWithTensor:name:]
@end
