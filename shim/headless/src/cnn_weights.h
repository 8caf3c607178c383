// The weights that a convolution kernel keeps, and its window over images.
#pragma once
#include "convolution.h"
#include "image.h"
#include "storage.h"

// Made from a data source: f32 on the device, in the layout [out][height][width][in / groups].
struct HeadlessWeights {
  int64_t input_channels, output_channels, groups;
  headless::Window window;  // without padding, which an offset expresses
  std::shared_ptr<headless::Storage> weights, biases;

  int64_t weight_count() const {
    return output_channels * window.size[0] * window.size[1] * (input_channels / groups);
  }
  // The weights in OIHW.
  std::vector<float> channels_first() const;
};

namespace headless {

// Null where there is no memory. Aborts on a data source that Apple's would refuse.
HeadlessWeights *load_weights(id<MPSCNNConvolutionDataSource> source);
void reload_weights(HeadlessWeights &weights, id<MPSCNNConvolutionDataSource> source);
void release_weights(HeadlessWeights *weights);
// Encodes a copy of the state's weights into the kernel's.
void encode_reload(id<MTLCommandBuffer> command_buffer, id kernel, const HeadlessWeights &weights,
                   MPSCNNConvolutionWeightsAndBiasesState *state);

// The extent of a dilated kernel along an axis.
inline int64_t extent(const Window &window, int axis) {
  return (window.size[axis] - 1) * window.dilation[axis] + 1;
}

// The loops for batches of these sizes. `left` and `top` are how far the first window begins before
// the first pixel.
ConvolutionSizes convolution_sizes(const HeadlessWeights &weights, const HeadlessImage &input,
                                   const HeadlessImage &output, size_t count, int64_t top,
                                   int64_t left);

}  // namespace headless
