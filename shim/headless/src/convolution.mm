#include "convolution.h"

#include <algorithm>

namespace headless {
namespace {

// The outputs [first, last) of a row for which tap `k` lies inside of the input.
struct Span {
  int64_t first, last;
};

Span inside(const ConvolutionSizes &s, int axis, int64_t k) {
  const Window &w = s.window;
  const int64_t shift = k * w.dilation[axis] - w.pad_low[axis];
  const int64_t first = shift >= 0 ? 0 : (-shift + w.stride[axis] - 1) / w.stride[axis];
  const int64_t room = s.input[axis] - 1 - shift;
  const int64_t last = room < 0 ? 0 : std::min(s.output[axis], room / w.stride[axis] + 1);
  return {first, std::max(first, last)};
}

// Calls f(x, y, w, length): a run of `length` outputs at y[0..] which one weight connects with the
// inputs x[0], x[stride], ... All are offsets.
template <class F>
void for_each_run(const ConvolutionSizes &s, F f) {
  const Window &w = s.window;
  const int64_t channels = s.channels_in_group();
  for (int64_t n = 0; n < s.count; ++n) {
    for (int64_t o = 0; o < s.output_channels; ++o) {
      for (int64_t c = 0; c < channels; ++c) {
        for (int64_t ky = 0; ky < w.size[0]; ++ky) {
          const Span rows = inside(s, 0, ky);
          for (int64_t kx = 0; kx < w.size[1]; ++kx) {
            const Span columns = inside(s, 1, kx);
            const int64_t weight = ((o * channels + c) * w.size[0] + ky) * w.size[1] + kx;
            for (int64_t row = rows.first; row < rows.last; ++row) {
              const int64_t x = ((n * s.input_channels + s.first_channel(o) + c) * s.input[0] +
                                 w.source(0, row, ky)) *
                                    s.input[1] +
                                w.source(1, columns.first, kx);
              const int64_t y =
                  ((n * s.output_channels + o) * s.output[0] + row) * s.output[1] + columns.first;
              f(x, y, weight, columns.last - columns.first);
            }
          }
        }
      }
    }
  }
}

}  // namespace

void convolve(const ConvolutionSizes &s, const float *x, const float *w, float *y) {
  const int64_t stride = s.window.stride[1];
  std::fill(y, y + s.count * s.output_channels * s.output[0] * s.output[1], 0.0f);
  for_each_run(s, [&](int64_t from, int64_t to, int64_t weight, int64_t length) {
    const float factor = w[weight];
    for (int64_t i = 0; i < length; ++i) y[to + i] += factor * x[from + i * stride];
  });
}

void convolve_data_gradient(const ConvolutionSizes &s, const float *dy, const float *w, float *dx) {
  const int64_t stride = s.window.stride[1];
  std::fill(dx, dx + s.count * s.input_channels * s.input[0] * s.input[1], 0.0f);
  for_each_run(s, [&](int64_t to, int64_t from, int64_t weight, int64_t length) {
    const float factor = w[weight];
    for (int64_t i = 0; i < length; ++i) dx[to + i * stride] += factor * dy[from + i];
  });
}

void convolve_weights_gradient(const ConvolutionSizes &s, const float *x, const float *dy,
                               float *dw) {
  const int64_t stride = s.window.stride[1];
  const int64_t weights =
      s.output_channels * s.channels_in_group() * s.window.size[0] * s.window.size[1];
  // A weight's gradient sums over all pictures: in double, so that the error stays small.
  std::vector<double> sums((size_t)weights, 0.0);
  for_each_run(s, [&](int64_t from, int64_t to, int64_t weight, int64_t length) {
    float sum = 0;
    for (int64_t i = 0; i < length; ++i) sum += x[from + i * stride] * dy[to + i];
    sums[(size_t)weight] += (double)sum;
  });
  for (int64_t i = 0; i < weights; ++i) dw[i] = (float)sums[(size_t)i];
}

}  // namespace headless
