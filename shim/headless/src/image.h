// What an MPSImage holds: pictures with their channels side by side, [image][row][column][channel].
#pragma once
#import <MetalPerformanceShaders/MetalPerformanceShaders.h>
#include "array.h"
#include "storage.h"

struct HeadlessImage {
  int64_t width, height, channels, count;
  MPSDataType dtype;
  std::shared_ptr<headless::Storage> storage;
  size_t offset = 0;  // bytes
  id parent = nil;    // retained: the image of which this is one picture
  NSString *label = nil;

  int64_t elements() const { return width * height * channels * count; }
  size_t bytes() const { return (size_t)elements() * headless::size_of(dtype); }
  float load(int64_t at) const;
  void store(int64_t at, float value) const;
};

namespace headless {

// Images of one batch, which must be alike; `op` names the method in messages.
std::vector<HeadlessImage> batch_of(const char *op, MPSImageBatch *images);
std::vector<std::shared_ptr<Storage>> storages_of(const std::vector<HeadlessImage> &images);

// All pictures of a batch as f32 in NCHW, and back.
std::vector<float> load_channels_first(const std::vector<HeadlessImage> &images);
void store_channels_first(const std::vector<float> &values,
                          const std::vector<HeadlessImage> &images);

}  // namespace headless
