// The part of Apple's MetalPerformanceShaders that the shim uses: names and types as in the SDK.
#pragma once
#import <MetalPerformanceShaders/MPSCoreTypes.h>

struct HeadlessImage;

typedef NS_ENUM(NSUInteger, MPSImageFeatureChannelFormat) {
  MPSImageFeatureChannelFormatNone = 0,
  MPSImageFeatureChannelFormatUnorm8 = 1,
  MPSImageFeatureChannelFormatUnorm16 = 2,
  MPSImageFeatureChannelFormatFloat16 = 3,
  MPSImageFeatureChannelFormatFloat32 = 4,
};

typedef NS_OPTIONS(NSUInteger, MTLTextureUsage) {
  MTLTextureUsageUnknown = 0,
  MTLTextureUsageShaderRead = 1,
  MTLTextureUsageShaderWrite = 2,
  MTLTextureUsageRenderTarget = 4,
  MTLTextureUsagePixelFormatView = 16,
  MTLTextureUsageShaderAtomic = 32,
};

typedef NS_ENUM(NSUInteger, MPSDataLayout) {
  MPSDataLayoutHeightxWidthxFeatureChannels = 0,
  MPSDataLayoutFeatureChannelsxHeightxWidth = 1,
};

@interface MPSImageDescriptor : NSObject <NSCopying> {
 @private
  NSUInteger _width, _height, _featureChannels, _numberOfImages;
  MPSImageFeatureChannelFormat _channelFormat;
  MTLTextureUsage _usage;
  MTLStorageMode _storageMode;
}
@property (nonatomic) NSUInteger width;
@property (nonatomic) NSUInteger height;
@property (nonatomic) NSUInteger featureChannels;
@property (nonatomic) NSUInteger numberOfImages;
@property (nonatomic) MPSImageFeatureChannelFormat channelFormat;
@property (nonatomic) MTLStorageMode storageMode;
@property (nonatomic) MTLTextureUsage usage;
+ (instancetype)imageDescriptorWithChannelFormat:(MPSImageFeatureChannelFormat)channelFormat
    width:(NSUInteger)width height:(NSUInteger)height featureChannels:(NSUInteger)featureChannels;
+ (instancetype)imageDescriptorWithChannelFormat:(MPSImageFeatureChannelFormat)channelFormat
    width:(NSUInteger)width height:(NSUInteger)height featureChannels:(NSUInteger)featureChannels
    numberOfImages:(NSUInteger)numberOfImages usage:(MTLTextureUsage)usage;
@end

@interface MPSImage : NSObject {
 @public
  struct HeadlessImage *_headless;
}
@property (nonatomic, readonly, retain) id<MTLDevice> device;
@property (nonatomic, readonly) NSUInteger width;
@property (nonatomic, readonly) NSUInteger height;
@property (nonatomic, readonly) NSUInteger featureChannels;
@property (nonatomic, readonly) NSUInteger numberOfImages;
@property (nonatomic, readonly) MPSImageFeatureChannelFormat featureChannelFormat;
@property (copy) NSString *label;
- (instancetype)initWithDevice:(id<MTLDevice>)device
    imageDescriptor:(const MPSImageDescriptor *)imageDescriptor;
- (MPSImageBatch *)batchRepresentation;
- (NSUInteger)resourceSize;
- (void)synchronizeOnCommandBuffer:(id<MTLCommandBuffer>)commandBuffer;
- (void)readBytes:(void *)dataBytes dataLayout:(MPSDataLayout)dataLayout
    imageIndex:(NSUInteger)imageIndex;
- (void)writeBytes:(const void *)dataBytes dataLayout:(MPSDataLayout)dataLayout
    imageIndex:(NSUInteger)imageIndex;
@end
