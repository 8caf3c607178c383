#include "window.h"

#include "runtime.h"
#include <algorithm>

namespace headless {

void Window::resolve_padding(const char *op, MPSGraphPaddingStyle style, const int64_t input[2]) {
  switch (style) {
    case MPSGraphPaddingStyleExplicit: return;
    case MPSGraphPaddingStyleTF_VALID:
      for (int axis = 0; axis < 2; ++axis) pad_low[axis] = pad_high[axis] = 0;
      return;
    case MPSGraphPaddingStyleTF_SAME:
      for (int axis = 0; axis < 2; ++axis) {
        const int64_t output = (input[axis] + stride[axis] - 1) / stride[axis];
        const int64_t needed = (output - 1) * stride[axis] + (size[axis] - 1) * dilation[axis] + 1;
        const int64_t total = std::max<int64_t>(0, needed - input[axis]);
        pad_low[axis] = total / 2;
        pad_high[axis] = total - total / 2;
      }
      return;
    default: fail_op(op, "the padding style is not implemented");
  }
}

int64_t Window::output_size(const char *op, int axis, int64_t input) const {
  const int64_t room =
      input + pad_low[axis] + pad_high[axis] - (size[axis] - 1) * dilation[axis] - 1;
  if (room < 0) fail_op(op, "the window does not fit into the padded input");
  return (room + (ceil_mode ? stride[axis] - 1 : 0)) / stride[axis] + 1;
}

Pictures pictures_of(const char *op, const Shape &shape, MPSGraphTensorNamedDataLayout layout) {
  if (shape.size() != 4) fail_op(op, "operands must have rank 4, got " + text(shape));
  if (layout == MPSGraphTensorNamedDataLayoutNCHW)
    return {shape[0], shape[1], {shape[2], shape[3]}};
  if (layout == MPSGraphTensorNamedDataLayoutNHWC)
    return {shape[0], shape[3], {shape[1], shape[2]}};
  fail_op(op, "the data layout must be NCHW or NHWC");
}

Shape shape_of(const Pictures &p, MPSGraphTensorNamedDataLayout layout) {
  if (layout == MPSGraphTensorNamedDataLayoutNHWC)
    return {p.count, p.size[0], p.size[1], p.channels};
  return {p.count, p.channels, p.size[0], p.size[1]};
}

std::vector<size_t> to_channels_first(MPSGraphTensorNamedDataLayout layout) {
  if (layout == MPSGraphTensorNamedDataLayoutNHWC) return {0, 3, 1, 2};
  if (layout == MPSGraphTensorNamedDataLayoutHWIO) return {3, 2, 0, 1};
  return {};
}

std::vector<size_t> from_channels_first(MPSGraphTensorNamedDataLayout layout) {
  if (layout == MPSGraphTensorNamedDataLayoutNHWC) return {0, 2, 3, 1};
  if (layout == MPSGraphTensorNamedDataLayoutHWIO) return {2, 3, 1, 0};
  return {};
}

}  // namespace headless
