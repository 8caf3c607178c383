// MPSCNNConvolutionGradient: the gradients of a convolution in its images and in its weights.
#include "cnn_state.h"
#include "cnn_weights.h"
#include "metal.h"
#include "runtime.h"

namespace headless {
namespace {

struct Backward {
  HeadlessWeights weights;
  ConvolutionSizes data_sizes, weights_sizes;
  std::vector<HeadlessImage> gradients, sources, destinations;
  std::shared_ptr<Storage> weights_gradient, biases_gradient;
  MPSCNNConvolutionGradientOption option;
};

// OIHW to the layout of the weights.
void store_weights_gradient(const HeadlessWeights &weights, const std::vector<float> &gradient,
                            float *to) {
  const int64_t channels = weights.input_channels / weights.groups,
                taps = weights.window.size[0] * weights.window.size[1];
  for (int64_t o = 0; o < weights.output_channels; ++o) {
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t tap = 0; tap < taps; ++tap) {
        to[(o * taps + tap) * channels + c] = gradient[(size_t)((o * channels + c) * taps + tap)];
      }
    }
  }
}

void run_weights(const Backward &b, const std::vector<float> &dy) {
  const std::vector<float> x = load_channels_first(b.sources);
  std::vector<float> dw((size_t)b.weights.weight_count());
  convolve_weights_gradient(b.weights_sizes, x.data(), dy.data(), dw.data());
  store_weights_gradient(b.weights, dw, (float *)b.weights_gradient->bytes());
  const int64_t plane = b.weights_sizes.output[0] * b.weights_sizes.output[1];
  std::vector<double> sums((size_t)b.weights.output_channels, 0.0);
  for (size_t i = 0; i < dy.size(); ++i)
    sums[(size_t)((int64_t)i / plane % b.weights.output_channels)] += (double)dy[i];
  for (size_t o = 0; o < sums.size(); ++o)
    ((float *)b.biases_gradient->bytes())[o] = (float)sums[o];
}

void run_backward(const Backward &b) {
  const std::vector<float> dy = load_channels_first(b.gradients);
  if (b.option & MPSCNNConvolutionGradientOptionGradientWithData) {
    const std::vector<float> w = b.weights.channels_first();
    std::vector<float> dx((size_t)(b.data_sizes.count * b.data_sizes.input_channels *
                                   b.data_sizes.input[0] * b.data_sizes.input[1]));
    convolve_data_gradient(b.data_sizes, dy.data(), w.data(), dx.data());
    store_channels_first(dx, b.destinations);
  }
  if (b.option & MPSCNNConvolutionGradientOptionGradientWithWeightsAndBias) run_weights(b, dy);
}

// How far the first window of the forward convolution began before the first pixel, as the kernel's
// offset says: kernelOffset = -offset + (1 if the extent is even), in the zero-filled gradient.
int64_t before_first(int64_t extent, NSInteger primary_offset, int64_t stride,
                     NSInteger kernel_offset) {
  const int64_t offset = (extent % 2 == 0 ? 1 : 0) - (primary_offset * stride + kernel_offset);
  return extent / 2 - offset;
}

void encode_backward(id<MTLCommandBuffer> command_buffer, MPSCNNConvolutionGradient *kernel,
                     MPSImageBatch *gradients, MPSImageBatch *sources, MPSStateBatch *states,
                     MPSImageBatch *destinations) {
  const char *op = "MPSCNNConvolutionGradient";
  const NSUInteger count = [gradients count];
  if ([sources count] != count || [states count] != count || [destinations count] != count) {
    fail_assertion(std::string(op) + ": batches of different sizes");
  }
  MPSCNNConvolutionGradientState *state =
      (MPSCNNConvolutionGradientState *)[states objectAtIndex:0];
  for (MPSState *other in states) {
    if (other != state) fail_assertion(std::string(op) + ": a batch has one state");
  }
  Backward b{*kernel->_headless,
             {},
             {},
             batch_of(op, gradients),
             batch_of(op, sources),
             batch_of(op, destinations),
             storage_of([state gradientForWeights]),
             storage_of([state gradientForBiases]),
             [kernel gradientOption]};
  const Window &w = b.weights.window;
  const MPSOffset primary = [kernel primaryOffset], secondary = [kernel secondaryOffset];
  b.data_sizes =
      convolution_sizes(b.weights, b.destinations[0], b.gradients[0], count,
                        before_first(extent(w, 0), primary.y, w.stride[0], [kernel kernelOffsetY]),
                        before_first(extent(w, 1), primary.x, w.stride[1], [kernel kernelOffsetX]));
  // Here the secondary offset is where the first window begins.
  b.weights_sizes =
      convolution_sizes(b.weights, b.sources[0], b.gradients[0], count, -secondary.y, -secondary.x);
  ++counters().kernel_encodes;
  std::vector<std::shared_ptr<Storage>> used = storages_of(b.gradients);
  for (const auto *images : {&b.sources, &b.destinations}) {
    for (const auto &storage : storages_of(*images)) used.push_back(storage);
  }
  for (const auto &storage : {b.weights.weights, b.weights_gradient, b.biases_gradient})
    used.push_back(storage);
  encode(command_buffer,
         [NSArray arrayWithObjects:kernel, gradients, sources, states, destinations, nil], used,
         [b] { run_backward(b); });
}

}  // namespace
}  // namespace headless

using namespace headless;

@implementation MPSCNNConvolutionGradient
@synthesize dataSource = _dataSource, gradientOption = _gradientOption;

- (instancetype)initWithDevice:(id<MTLDevice>)device
                       weights:(id<MPSCNNConvolutionDataSource>)weights {
  if ((self = [super initWithDevice:device])) {
    _gradientOption = MPSCNNConvolutionGradientOptionAll;
    _dataSource = [weights retain];
    _headless = load_weights(weights);
    if (!_headless) {
      [self release];
      return nil;
    }
  }
  return self;
}

- (void)dealloc {
  release_weights(_headless);
  [_dataSource release];
  [super dealloc];
}

- (NSUInteger)sourceGradientFeatureChannels {
  return (NSUInteger)_headless->output_channels;
}
- (NSUInteger)sourceImageFeatureChannels {
  return (NSUInteger)_headless->input_channels;
}
- (NSUInteger)groups {
  return (NSUInteger)_headless->groups;
}

- (void)reloadWeightsAndBiasesFromDataSource {
  reload_weights(*_headless, _dataSource);
}

- (void)reloadWeightsAndBiasesWithCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
                                          state:(MPSCNNConvolutionWeightsAndBiasesState *)state {
  encode_reload(commandBuffer, self, *_headless, state);
}

- (void)encodeBatchToCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
                   sourceGradients:(MPSImageBatch *)sourceGradients
                      sourceImages:(MPSImageBatch *)sourceImages
                    gradientStates:(MPSStateBatch *)gradientStates
              destinationGradients:(MPSImageBatch *)destinationGradients {
  encode_backward(commandBuffer, self, sourceGradients, sourceImages, gradientStates,
                  destinationGradients);
}
@end

@implementation MPSCNNConvolutionGradientState
@synthesize gradientForWeights = _gradientForWeights, gradientForBiases = _gradientForBiases,
            convolution = _convolution;

- (instancetype)initWithConvolution:(MPSCNNConvolution *)convolution {
  if ((self = [super init])) {
    const HeadlessWeights &weights = *convolution->_headless;
    const NSUInteger bytes = (NSUInteger)weights.weight_count() * sizeof(float);
    const NSUInteger bias_bytes = (NSUInteger)weights.output_channels * sizeof(float);
    _convolution = [convolution retain];
    _gradientForWeights = [shared_device() newBufferWithLength:bytes
                                                       options:MTLResourceStorageModePrivate];
    _gradientForBiases = [shared_device() newBufferWithLength:bias_bytes
                                                      options:MTLResourceStorageModePrivate];
    if (!_gradientForWeights || !_gradientForBiases) {
      [self release];
      return nil;
    }
  }
  return self;
}

- (void)dealloc {
  [_gradientForWeights release];
  [_gradientForBiases release];
  [_convolution release];
  [super dealloc];
}

- (MPSCNNConvolutionWeightsLayout)gradientForWeightsLayout {
  return MPSCNNConvolutionWeightsLayoutOHWI;
}
@end
