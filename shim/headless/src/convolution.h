// The loops of a convolution and of its two gradients, in NCHW and OIHW.
#pragma once
#include "window.h"

namespace headless {

struct ConvolutionSizes {
  Window window;
  int64_t groups = 1, count = 0, input_channels = 0, output_channels = 0;
  int64_t input[2] = {0, 0}, output[2] = {0, 0};

  int64_t channels_in_group() const { return input_channels / groups; }
  int64_t first_channel(int64_t output_channel) const {
    return output_channel / (output_channels / groups) * channels_in_group();
  }
};

// y += x * w, dx += dy * w (transposed), dw += x * dy. The results are zeroed first.
void convolve(const ConvolutionSizes &sizes, const float *x, const float *w, float *y);
void convolve_data_gradient(const ConvolutionSizes &sizes, const float *dy, const float *w,
                            float *dx);
void convolve_weights_gradient(const ConvolutionSizes &sizes, const float *x, const float *dy,
                               float *dw);

}  // namespace headless
