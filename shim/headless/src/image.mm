#include "image.h"

#include "metal.h"
#include "runtime.h"

float HeadlessImage::load(int64_t at) const {
  const uint8_t *bytes = storage->bytes() + offset;
  return dtype == MPSDataTypeFloat32 ? ((const float *)bytes)[at]
                                     : (float)((const headless::Half *)bytes)[at];
}

void HeadlessImage::store(int64_t at, float value) const {
  uint8_t *bytes = storage->bytes() + offset;
  if (dtype == MPSDataTypeFloat32) {
    ((float *)bytes)[at] = value;
  } else {
    ((headless::Half *)bytes)[at] = headless::Half(value);
  }
}

namespace headless {

std::vector<HeadlessImage> batch_of(const char *op, MPSImageBatch *images) {
  std::vector<HeadlessImage> batch;
  for (MPSImage *image in images) batch.push_back(*image->_headless);
  if (batch.empty()) fail_assertion(std::string(op) + ": a batch without images");
  for (const HeadlessImage &image : batch) {
    const HeadlessImage &first = batch[0];
    if (image.width != first.width || image.height != first.height ||
        image.channels != first.channels || image.count != 1) {
      fail_assertion(std::string(op) +
                     ": the images of a batch differ, or one holds several pictures");
    }
  }
  return batch;
}

std::vector<std::shared_ptr<Storage>> storages_of(const std::vector<HeadlessImage> &images) {
  std::vector<std::shared_ptr<Storage>> storages;
  for (const HeadlessImage &image : images) storages.push_back(image.storage);
  return storages;
}

std::vector<float> load_channels_first(const std::vector<HeadlessImage> &images) {
  std::vector<float> values;
  for (const HeadlessImage &image : images) {
    for (int64_t c = 0; c < image.channels; ++c) {
      for (int64_t pixel = 0; pixel < image.width * image.height; ++pixel) {
        values.push_back(image.load(pixel * image.channels + c));
      }
    }
  }
  return values;
}

void store_channels_first(const std::vector<float> &values,
                          const std::vector<HeadlessImage> &images) {
  size_t at = 0;
  for (const HeadlessImage &image : images) {
    for (int64_t c = 0; c < image.channels; ++c) {
      for (int64_t pixel = 0; pixel < image.width * image.height; ++pixel) {
        image.store(pixel * image.channels + c, values[at++]);
      }
    }
  }
}

}  // namespace headless

using namespace headless;

@implementation MPSImageDescriptor
@synthesize width = _width, height = _height, featureChannels = _featureChannels,
            numberOfImages = _numberOfImages, channelFormat = _channelFormat,
            storageMode = _storageMode, usage = _usage;

+ (instancetype)imageDescriptorWithChannelFormat:(MPSImageFeatureChannelFormat)channelFormat
                                           width:(NSUInteger)width
                                          height:(NSUInteger)height
                                 featureChannels:(NSUInteger)featureChannels {
  return [self
      imageDescriptorWithChannelFormat:channelFormat
                                 width:width
                                height:height
                       featureChannels:featureChannels
                        numberOfImages:1
                                 usage:MTLTextureUsageShaderRead | MTLTextureUsageShaderWrite];
}

+ (instancetype)imageDescriptorWithChannelFormat:(MPSImageFeatureChannelFormat)channelFormat
                                           width:(NSUInteger)width
                                          height:(NSUInteger)height
                                 featureChannels:(NSUInteger)featureChannels
                                  numberOfImages:(NSUInteger)numberOfImages
                                           usage:(MTLTextureUsage)usage {
  MPSImageDescriptor *descriptor = [[[self alloc] init] autorelease];
  descriptor->_channelFormat = channelFormat;
  descriptor->_width = width;
  descriptor->_height = height;
  descriptor->_featureChannels = featureChannels;
  descriptor->_numberOfImages = numberOfImages;
  descriptor->_usage = usage;
  return descriptor;
}

- (id)copyWithZone:(NSZone *)zone {
  MPSImageDescriptor *copy = [[MPSImageDescriptor imageDescriptorWithChannelFormat:_channelFormat
                                                                             width:_width
                                                                            height:_height
                                                                   featureChannels:_featureChannels
                                                                    numberOfImages:_numberOfImages
                                                                             usage:_usage] retain];
  [copy setStorageMode:_storageMode];
  return copy;
}
@end

@implementation MPSImage

- (instancetype)initWithDevice:(id<MTLDevice>)device
               imageDescriptor:(const MPSImageDescriptor *)imageDescriptor {
  if ((self = [super init])) {
    MPSImageDescriptor *d = (MPSImageDescriptor *)imageDescriptor;
    if ([d width] == 0 || [d height] == 0 || [d featureChannels] == 0 || [d numberOfImages] == 0) {
      fail_assertion("an MPSImage without pixels");
    }
    if ([d channelFormat] != MPSImageFeatureChannelFormatFloat32 &&
        [d channelFormat] != MPSImageFeatureChannelFormatFloat16) {
      fail_assertion("MPSImage: only the formats Float16 and Float32 are implemented");
    }
    const bool wide = [d channelFormat] == MPSImageFeatureChannelFormatFloat32;
    HeadlessImage image{(int64_t)[d width],
                        (int64_t)[d height],
                        (int64_t)[d featureChannels],
                        (int64_t)[d numberOfImages],
                        wide ? MPSDataTypeFloat32 : MPSDataTypeFloat16,
                        nullptr};
    image.storage = Storage::allocate(image.bytes(), MTLStorageModePrivate);
    if (!image.storage) {
      [self release];
      return nil;
    }
    _headless = new HeadlessImage(image);
  }
  return self;
}

- (void)dealloc {
  if (_headless) {
    if (!_headless->parent) _headless->storage->release_owner();
    [_headless->parent release];
    [_headless->label release];
    delete _headless;
  }
  [super dealloc];
}

- (id<MTLDevice>)device {
  return shared_device();
}
- (NSUInteger)width {
  return (NSUInteger)_headless->width;
}
- (NSUInteger)height {
  return (NSUInteger)_headless->height;
}
- (NSUInteger)featureChannels {
  return (NSUInteger)_headless->channels;
}
- (NSUInteger)numberOfImages {
  return (NSUInteger)_headless->count;
}
- (NSUInteger)resourceSize {
  return _headless->bytes();
}
- (NSString *)label {
  return _headless->label;
}

- (MPSImageFeatureChannelFormat)featureChannelFormat {
  return _headless->dtype == MPSDataTypeFloat32 ? MPSImageFeatureChannelFormatFloat32
                                                : MPSImageFeatureChannelFormatFloat16;
}

- (void)setLabel:(NSString *)label {
  [_headless->label autorelease];
  _headless->label = [label copy];
}

- (MPSImageBatch *)batchRepresentation {
  NSMutableArray<MPSImage *> *batch = [NSMutableArray array];
  for (int64_t i = 0; i < _headless->count; ++i) {
    MPSImage *image = [[[MPSImage alloc] init] autorelease];
    image->_headless = new HeadlessImage(*_headless);
    image->_headless->count = 1;
    image->_headless->offset += (size_t)i * _headless->bytes() / (size_t)_headless->count;
    image->_headless->parent = [self retain];
    image->_headless->label = nil;
    [batch addObject:image];
  }
  return batch;
}

- (void)synchronizeOnCommandBuffer:(id<MTLCommandBuffer>)commandBuffer {
  (void)unwrap(commandBuffer);  // memory is unified
}

// The place in a picture's memory of each element in the order of the host's layout.
- (std::vector<int64_t>)order:(MPSDataLayout)layout {
  std::vector<int64_t> order;
  const int64_t pixels = _headless->width * _headless->height, channels = _headless->channels;
  if (layout == MPSDataLayoutHeightxWidthxFeatureChannels) {
    for (int64_t i = 0; i < pixels * channels; ++i) order.push_back(i);
  } else {
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t pixel = 0; pixel < pixels; ++pixel) order.push_back(pixel * channels + c);
    }
  }
  return order;
}

- (void)readBytes:(void *)dataBytes
       dataLayout:(MPSDataLayout)dataLayout
       imageIndex:(NSUInteger)imageIndex {
  ++counters().host_copies;
  const size_t size = size_of(_headless->dtype);
  const uint8_t *picture = _headless->storage->bytes() + _headless->offset +
                           imageIndex * _headless->bytes() / (size_t)_headless->count;
  uint8_t *to = (uint8_t *)dataBytes;
  for (int64_t at : [self order:dataLayout]) {
    memcpy(to, picture + (size_t)at * size, size);
    to += size;
  }
}

- (void)writeBytes:(const void *)dataBytes
        dataLayout:(MPSDataLayout)dataLayout
        imageIndex:(NSUInteger)imageIndex {
  ++counters().host_copies;
  const size_t size = size_of(_headless->dtype);
  uint8_t *picture = _headless->storage->bytes() + _headless->offset +
                     imageIndex * _headless->bytes() / (size_t)_headless->count;
  const uint8_t *from = (const uint8_t *)dataBytes;
  for (int64_t at : [self order:dataLayout]) {
    memcpy(picture + (size_t)at * size, from, size);
    from += size;
  }
}
@end
