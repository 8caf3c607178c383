// The part of Apple's MetalPerformanceShaders that the shim uses: names and types as in the SDK.
#pragma once
#import <Metal/Metal.h>

@class MPSImage, MPSState;

typedef NS_ENUM(uint32_t, MPSDataType) {
  MPSDataTypeInvalid = 0,
  MPSDataTypeUInt2 = 2,
  MPSDataTypeUInt4 = 4,
  MPSDataTypeUInt8 = 8,
  MPSDataTypeUInt16 = 16,
  MPSDataTypeUInt32 = 32,
  MPSDataTypeUInt64 = 64,
  MPSDataTypeComplexBit = 0x1000000,
  MPSDataTypeFloatBit = 0x10000000,
  MPSDataTypeFloat16 = 0x10000010,
  MPSDataTypeFloat32 = 0x10000020,
  MPSDataTypeComplexFloat16 = 0x11000020,
  MPSDataTypeComplexFloat32 = 0x11000040,
  MPSDataTypeIntBit = 0x20000000,
  MPSDataTypeSignedBit = 0x20000000,
  MPSDataTypeInt2 = 0x20000002,
  MPSDataTypeInt4 = 0x20000004,
  MPSDataTypeInt8 = 0x20000008,
  MPSDataTypeInt16 = 0x20000010,
  MPSDataTypeInt32 = 0x20000020,
  MPSDataTypeInt64 = 0x20000040,
  MPSDataTypeNormalizedBit = 0x40000000,
  MPSDataTypeUnorm1 = 0x40000001,
  MPSDataTypeUnorm8 = 0x40000008,
  MPSDataTypeAlternateEncodingBit = 0x80000000,
  MPSDataTypeBool = 0x80000008,
  MPSDataTypeBFloat16 = 0x90000010,
  MPSDataTypeComplexBFloat16 = 0x91000020,
};

typedef NSArray<NSNumber *> MPSShape;
typedef NSArray<MPSImage *> MPSImageBatch;
typedef NSArray<MPSState *> MPSStateBatch;

typedef struct {
  NSInteger x, y, z;
} MPSOffset;

typedef struct {
  NSUInteger x, y, channel;
} MPSImageCoordinate;

typedef struct {
  NSUInteger start, length;
} MPSDimensionSlice;

#ifdef __cplusplus
extern "C" {
#endif
BOOL MPSSupportsMTLDevice(id<MTLDevice> device);
#ifdef __cplusplus
}
#endif
