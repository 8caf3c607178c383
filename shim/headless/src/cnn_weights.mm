#include "cnn_weights.h"

#include "metal.h"
#include "runtime.h"

std::vector<float> HeadlessWeights::channels_first() const {
  const int64_t channels = input_channels / groups, taps = window.size[0] * window.size[1];
  const float *from = (const float *)weights->bytes();
  std::vector<float> result((size_t)weight_count());
  for (int64_t o = 0; o < output_channels; ++o) {
    for (int64_t tap = 0; tap < taps; ++tap) {
      for (int64_t c = 0; c < channels; ++c) {
        result[(size_t)((o * channels + c) * taps + tap)] = from[(o * taps + tap) * channels + c];
      }
    }
  }
  return result;
}

namespace headless {
namespace {

void check(MPSCNNConvolutionDescriptor *d) {
  if (!d) fail_assertion("MPSCNNConvolution: the data source has no descriptor");
  const NSUInteger groups = [d groups];
  if (groups < 1 || [d inputFeatureChannels] % groups != 0 ||
      [d outputFeatureChannels] % groups != 0) {
    fail_assertion("MPSCNNConvolution: channels must be divisible by the groups");
  }
  if (groups > 1 &&
      ([d inputFeatureChannels] / groups % 4 != 0 || [d outputFeatureChannels] / groups % 4 != 0)) {
    fail_assertion("MPSCNNConvolution: channels in each group must be a multiple of 4");
  }
  if ([d strideInPixelsX] < 1 || [d strideInPixelsY] < 1 || [d dilationRateX] < 1 ||
      [d dilationRateY] < 1) {
    fail_assertion("MPSCNNConvolution: strides and dilation rates must be at least 1");
  }
}

}  // namespace

HeadlessWeights *load_weights(id<MPSCNNConvolutionDataSource> source) {
  if (!source) fail_assertion("MPSCNNConvolution: the data source is nil");
  MPSCNNConvolutionDescriptor *d = [source descriptor];
  check(d);
  HeadlessWeights weights{(int64_t)[d inputFeatureChannels],
                          (int64_t)[d outputFeatureChannels],
                          (int64_t)[d groups],
                          {},
                          nullptr,
                          nullptr};
  weights.window = {{(int64_t)[d kernelHeight], (int64_t)[d kernelWidth]},
                    {(int64_t)[d strideInPixelsY], (int64_t)[d strideInPixelsX]},
                    {(int64_t)[d dilationRateY], (int64_t)[d dilationRateX]},
                    {0, 0},
                    {0, 0},
                    false};
  weights.weights =
      Storage::allocate((size_t)weights.weight_count() * sizeof(float), MTLStorageModePrivate);
  if (!weights.weights) return nullptr;
  weights.biases =
      Storage::allocate((size_t)weights.output_channels * sizeof(float), MTLStorageModePrivate);
  if (!weights.biases) return nullptr;
  reload_weights(weights, source);
  return new HeadlessWeights(weights);
}

void reload_weights(HeadlessWeights &weights, id<MPSCNNConvolutionDataSource> source) {
  if ([source dataType] != MPSDataTypeFloat32)
    fail_assertion("MPSCNNConvolution: only weights of Float32 are implemented");
  if (![source load]) fail_assertion("MPSCNNConvolution: the data source did not load");
  memcpy(weights.weights->bytes(), [source weights], weights.weights->length());
  const float *biases = [source biasTerms];
  if (biases) memcpy(weights.biases->bytes(), biases, weights.biases->length());
  [source purge];
}

void release_weights(HeadlessWeights *weights) {
  if (!weights) return;
  weights->weights->release_owner();
  weights->biases->release_owner();
  delete weights;
}

void encode_reload(id<MTLCommandBuffer> command_buffer, id kernel, const HeadlessWeights &weights,
                   MPSCNNConvolutionWeightsAndBiasesState *state) {
  std::shared_ptr<Storage> from = storage_of([state weights]), to = weights.weights;
  std::shared_ptr<Storage> from_biases = [state biases] ? storage_of([state biases]) : nullptr,
                           to_biases = weights.biases;
  const size_t offset = [state weightsOffset], bias_offset = [state biasesOffset];
  if (offset + to->length() > from->length() ||
      (from_biases && bias_offset + to_biases->length() > from_biases->length())) {
    fail_assertion("reloadWeightsAndBiases: a buffer of the state is too small");
  }
  ++counters().kernel_encodes;
  std::vector<std::shared_ptr<Storage>> used = {from, to, to_biases};
  if (from_biases) used.push_back(from_biases);
  encode(command_buffer, [NSArray arrayWithObjects:kernel, state, nil], used, [=] {
    memcpy(to->bytes(), from->bytes() + offset, to->length());
    if (from_biases)
      memcpy(to_biases->bytes(), from_biases->bytes() + bias_offset, to_biases->length());
  });
}

ConvolutionSizes convolution_sizes(const HeadlessWeights &weights, const HeadlessImage &input,
                                   const HeadlessImage &output, size_t count, int64_t top,
                                   int64_t left) {
  if (input.channels != weights.input_channels || output.channels != weights.output_channels) {
    fail_assertion("MPSCNNConvolution: images of " + std::to_string(input.channels) + " and " +
                   std::to_string(output.channels) + " channels for weights of " +
                   std::to_string(weights.input_channels) + " and " +
                   std::to_string(weights.output_channels));
  }
  ConvolutionSizes sizes;
  sizes.window = weights.window;
  sizes.window.pad_low[0] = top;
  sizes.window.pad_low[1] = left;
  sizes.groups = weights.groups;
  sizes.count = (int64_t)count;
  sizes.input_channels = weights.input_channels;
  sizes.output_channels = weights.output_channels;
  sizes.input[0] = input.height;
  sizes.input[1] = input.width;
  sizes.output[0] = output.height;
  sizes.output[1] = output.width;
  return sizes;
}

}  // namespace headless
