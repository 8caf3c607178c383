// How a window moves over a picture: what convolutions and poolings have in common. Heights come
// before widths.
#pragma once
#include "graph.h"

namespace headless {

struct Window {
  int64_t size[2] = {1, 1}, stride[2] = {1, 1}, dilation[2] = {1, 1}, pad_low[2] = {0, 0},
          pad_high[2] = {0, 0};
  bool ceil_mode = false;

  // Replaces the padding for the styles that compute it; aborts on a style that there is not.
  void resolve_padding(const char *op, MPSGraphPaddingStyle style, const int64_t input[2]);
  // Aborts where the window does not fit.
  int64_t output_size(const char *op, int axis, int64_t input) const;
  // The row or column under element `k` of window `p`; may lie outside of the picture.
  int64_t source(int axis, int64_t p, int64_t k) const {
    return p * stride[axis] + k * dilation[axis] - pad_low[axis];
  }
};

// The sizes of a tensor of pictures, whatever its layout.
struct Pictures {
  int64_t count, channels, size[2];
};

// Aborts unless the layout is NCHW or NHWC.
Pictures pictures_of(const char *op, const Shape &shape, MPSGraphTensorNamedDataLayout layout);
Shape shape_of(const Pictures &pictures, MPSGraphTensorNamedDataLayout layout);

// Permutations to NCHW or OIHW and back; empty where the tensor is in that layout already.
std::vector<size_t> to_channels_first(MPSGraphTensorNamedDataLayout layout);
std::vector<size_t> from_channels_first(MPSGraphTensorNamedDataLayout layout);

}  // namespace headless
