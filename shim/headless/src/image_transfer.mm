// Copies between arrays and images. An array is [N, H, W, C]: its dimension 0 are the channels.
#include "image.h"
#include "metal.h"
#include "ndarray.h"
#include "runtime.h"

namespace headless {
namespace {

struct Transfer {
  HeadlessNDArray array;
  std::vector<HeadlessImage> images;
  MPSImageCoordinate offset;
};

// The array's sizes as pictures; missing leading axes are 1.
Shape pictures_in(const Type &type) {
  Shape shape = type.shape;
  if (shape.size() > 4)
    fail_assertion("copy between images and an array of rank above 4: " + text(type));
  shape.insert(shape.begin(), 4 - shape.size(), 1);
  return shape;
}

void check(const Transfer &t) {
  if (!is_float(t.array.type.dtype))
    fail_assertion("copy between images and an array of " + text(t.array.type));
  if (t.offset.channel % 4 != 0)
    fail_assertion("the channel of an image's offset must be a multiple of 4");
  const Shape shape = pictures_in(t.array.type);
  const HeadlessImage &image = t.images[0];
  if (shape[0] > (int64_t)t.images.size() || (int64_t)t.offset.y + shape[1] > image.height ||
      (int64_t)t.offset.x + shape[2] > image.width ||
      (int64_t)t.offset.channel + shape[3] > image.channels) {
    fail_assertion("copy between an array of " + text(t.array.type) + " and " +
                   std::to_string(t.images.size()) + " images of " +
                   text(Shape{image.height, image.width, image.channels}));
  }
}

// Calls f(element of the array, image, element of the image).
template <class F>
void for_each_pair(const Transfer &t, F f) {
  const Shape shape = pictures_in(t.array.type);
  int64_t at = 0;
  for (int64_t n = 0; n < shape[0]; ++n) {
    const HeadlessImage &image = t.images[(size_t)n];
    for (int64_t y = 0; y < shape[1]; ++y) {
      for (int64_t x = 0; x < shape[2]; ++x) {
        const int64_t pixel = ((int64_t)t.offset.y + y) * image.width + (int64_t)t.offset.x + x;
        for (int64_t c = 0; c < shape[3]; ++c)
          f(at++, image, pixel * image.channels + (int64_t)t.offset.channel + c);
      }
    }
  }
}

void export_to_images(const Transfer &t) {
  visit(t.array.type.dtype, [&](auto tag) {
    const auto *elements = t.array.view().data<typename decltype(tag)::type>();
    for_each_pair(t, [&](int64_t at, const HeadlessImage &image, int64_t to) {
      image.store(to, (float)elements[at]);
    });
  });
}

void import_from_images(const Transfer &t) {
  visit(t.array.type.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T *elements = t.array.view().data<T>();
    for_each_pair(t, [&](int64_t at, const HeadlessImage &image, int64_t from) {
      elements[at] = T((Compute<T>)image.load(from));
    });
  });
}

void encode_transfer(id<MTLCommandBuffer> command_buffer, MPSNDArray *array, MPSImageBatch *images,
                     MPSImageCoordinate offset, void (*copy)(const Transfer &)) {
  Transfer transfer{*array->_headless, batch_of("copy between an array and images", images),
                    offset};
  check(transfer);
  ++counters().kernel_encodes;
  std::vector<std::shared_ptr<Storage>> used = storages_of(transfer.images);
  used.push_back(transfer.array.storage);
  encode(command_buffer, [NSArray arrayWithObjects:array, images, nil], used,
         [transfer, copy] { copy(transfer); });
}

}  // namespace
}  // namespace headless

@implementation MPSNDArray (HeadlessImages)
- (void)exportDataWithCommandBuffer:(id<MTLCommandBuffer>)cmdBuf
                           toImages:(MPSImageBatch *)images
                             offset:(MPSImageCoordinate)offset {
  headless::encode_transfer(cmdBuf, self, images, offset, headless::export_to_images);
}

- (void)importDataWithCommandBuffer:(id<MTLCommandBuffer>)cmdBuf
                         fromImages:(MPSImageBatch *)images
                             offset:(MPSImageCoordinate)offset {
  headless::encode_transfer(cmdBuf, self, images, offset, headless::import_from_images);
}
@end
