// MPSCNNConvolution.
#include "cnn_state.h"
#include "cnn_weights.h"
#include "metal.h"
#include "runtime.h"

namespace headless {
namespace {

struct Forward {
  HeadlessWeights weights;
  ConvolutionSizes sizes;
  std::vector<HeadlessImage> sources, destinations;
};

void run_forward(const Forward &f) {
  const std::vector<float> x = load_channels_first(f.sources), w = f.weights.channels_first();
  const int64_t plane = f.sizes.output[0] * f.sizes.output[1];
  std::vector<float> y((size_t)(f.sizes.count * f.sizes.output_channels * plane));
  convolve(f.sizes, x.data(), w.data(), y.data());
  const float *biases = (const float *)f.weights.biases->bytes();
  for (size_t i = 0; i < y.size(); ++i)
    y[i] += biases[(int64_t)i / plane % f.sizes.output_channels];
  store_channels_first(y, f.destinations);
}

void encode_forward(id<MTLCommandBuffer> command_buffer, MPSCNNConvolution *kernel,
                    MPSImageBatch *sources, MPSImageBatch *destinations) {
  if ([sources count] != [destinations count])
    fail_assertion("MPSCNNConvolution: as many destinations as sources");
  if ([kernel edgeMode] != MPSImageEdgeModeZero)
    fail_assertion("MPSCNNConvolution: only edge mode zero is implemented");
  Forward f{*kernel->_headless,
            {},
            batch_of("MPSCNNConvolution", sources),
            batch_of("MPSCNNConvolution", destinations)};
  // The offset is that of the window's centre.
  const Window &window = f.weights.window;
  f.sizes = convolution_sizes(f.weights, f.sources[0], f.destinations[0], f.sources.size(),
                              extent(window, 0) / 2 - [kernel offset].y,
                              extent(window, 1) / 2 - [kernel offset].x);
  ++counters().kernel_encodes;
  std::vector<std::shared_ptr<Storage>> used = storages_of(f.sources);
  for (const auto &storage : storages_of(f.destinations)) used.push_back(storage);
  used.push_back(f.weights.weights);
  used.push_back(f.weights.biases);
  encode(command_buffer, [NSArray arrayWithObjects:kernel, sources, destinations, nil], used,
         [f] { run_forward(f); });
}

}  // namespace
}  // namespace headless

using namespace headless;

@implementation MPSCNNConvolution
@synthesize dataSource = _dataSource, accumulatorPrecisionOption = _accumulatorPrecisionOption;

- (instancetype)initWithDevice:(id<MTLDevice>)device
                       weights:(id<MPSCNNConvolutionDataSource>)weights {
  if ((self = [super initWithDevice:device])) {
    _accumulatorPrecisionOption = MPSNNConvolutionAccumulatorPrecisionOptionFloat;
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

- (NSUInteger)inputFeatureChannels {
  return (NSUInteger)_headless->input_channels;
}
- (NSUInteger)outputFeatureChannels {
  return (NSUInteger)_headless->output_channels;
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

- (MPSCNNConvolutionGradientState *)resultStateForSourceImage:(MPSImage *)sourceImage
                                                 sourceStates:(NSArray<MPSState *> *)sourceStates
                                             destinationImage:(MPSImage *)destinationImage {
  return [[[MPSCNNConvolutionGradientState alloc] initWithConvolution:self] autorelease];
}

// One state for the whole batch: the gradient of the weights sums over the images.
- (MPSCNNConvolutionGradientStateBatch *)
    resultStateBatchForSourceImage:(MPSImageBatch *)sourceImage
                      sourceStates:(NSArray<MPSStateBatch *> *)sourceStates
                  destinationImage:(MPSImageBatch *)destinationImage {
  MPSCNNConvolutionGradientState *state = [self resultStateForSourceImage:nil
                                                             sourceStates:nil
                                                         destinationImage:nil];
  if (!state) return nil;
  NSMutableArray *batch = [NSMutableArray array];
  for (NSUInteger i = 0; i < [sourceImage count]; ++i) [batch addObject:state];
  return batch;
}

- (void)encodeBatchToCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
                      sourceImages:(MPSImageBatch *)sourceImages
                 destinationImages:(MPSImageBatch *)destinationImages {
  encode_forward(commandBuffer, self, sourceImages, destinationImages);
}

- (void)encodeBatchToCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
                      sourceImages:(MPSImageBatch *)sourceImages
                 destinationStates:(MPSStateBatch *)destinationStates
                 destinationImages:(MPSImageBatch *)destinationImages {
  if ([destinationStates count] != [sourceImages count])
    fail_assertion("MPSCNNConvolution: as many states as sources");
  encode_forward(commandBuffer, self, sourceImages, destinationImages);
}

- (void)encodeToCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
                  sourceImage:(MPSImage *)sourceImage
             destinationImage:(MPSImage *)destinationImage {
  encode_forward(commandBuffer, self, [sourceImage batchRepresentation],
                 [destinationImage batchRepresentation]);
}
@end
