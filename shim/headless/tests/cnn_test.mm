// MPSCNNConvolution and its gradient against the convolutions of MPSGraph, through images.
#include "run_graph.h"

#include <math.h>
#include <string.h>

@interface TestWeights : NSObject <MPSCNNConvolutionDataSource> {
 @public
  MPSCNNConvolutionDescriptor *_descriptor;
  std::vector<float> *_weights, *_biases;
}
@end

@implementation TestWeights
- (void)dealloc {
  [_descriptor release];
  delete _weights;
  delete _biases;
  [super dealloc];
}
- (MPSDataType)dataType {
  return MPSDataTypeFloat32;
}
- (MPSCNNConvolutionDescriptor *)descriptor {
  return _descriptor;
}
- (void *)weights {
  return _weights->data();
}
- (float *)biasTerms {
  return _biases ? _biases->data() : NULL;
}
- (BOOL)load {
  return YES;
}
- (void)purge {
}
- (NSString *)label {
  return @"test";
}
- (id)copyWithZone:(NSZone *)zone {
  return [self retain];
}
@end

namespace {

std::vector<float> numbers(size_t count, unsigned seed) {
  std::vector<float> result;
  for (size_t i = 0; i < count; ++i) {
    seed = seed * 1664525u + 1013904223u;
    result.push_back((float)(seed >> 16) / 32768.0f - 1.0f);
  }
  return result;
}

// [a][b][c] to [a][c][b].
std::vector<float> swap_last(const std::vector<float> &x, long a, long b, long c) {
  std::vector<float> result(x.size());
  for (long i = 0; i < a; ++i) {
    for (long j = 0; j < b; ++j) {
      for (long k = 0; k < c; ++k)
        result[(size_t)((i * c + k) * b + j)] = x[(size_t)((i * b + j) * c + k)];
    }
  }
  return result;
}

// Heights come before widths.
struct Geometry {
  long count = 2, in = 3, out = 2, groups = 1, size[2] = {5, 6}, kernel[2] = {3, 3},
       stride[2] = {1, 1}, dilation[2] = {1, 1}, low[2] = {0, 0}, high[2] = {0, 0};
  long extent(int axis) const { return (kernel[axis] - 1) * dilation[axis] + 1; }
  long output(int axis) const {
    return (size[axis] + low[axis] + high[axis] - extent(axis)) / stride[axis] + 1;
  }
  long pixels() const { return size[0] * size[1]; }
  long output_pixels() const { return output(0) * output(1); }
  long taps() const { return kernel[0] * kernel[1]; }
};

TestWeights *weights_for(const Geometry &g, const std::vector<float> &oihw) {
  TestWeights *source = [[[TestWeights alloc] init] autorelease];
  source->_descriptor = [[MPSCNNConvolutionDescriptor
      cnnConvolutionDescriptorWithKernelWidth:(NSUInteger)g.kernel[1]
                                 kernelHeight:(NSUInteger)g.kernel[0]
                         inputFeatureChannels:(NSUInteger)g.in
                        outputFeatureChannels:(NSUInteger)g.out] retain];
  [source->_descriptor setStrideInPixelsX:(NSUInteger)g.stride[1]];
  [source->_descriptor setStrideInPixelsY:(NSUInteger)g.stride[0]];
  [source->_descriptor setDilationRateX:(NSUInteger)g.dilation[1]];
  [source->_descriptor setDilationRateY:(NSUInteger)g.dilation[0]];
  [source->_descriptor setGroups:(NSUInteger)g.groups];
  source->_weights = new std::vector<float>(swap_last(oihw, g.out, g.in / g.groups, g.taps()));
  return source;
}

// The same convolution by MPSGraph: y, dx, dw for dy.
std::vector<std::vector<float>> by_graph(const Geometry &g, const std::vector<float> &x,
                                         const std::vector<float> &w,
                                         const std::vector<float> &dy) {
  Case c;
  MPSGraphTensor *tx = c.input({{g.count, g.in, g.size[0], g.size[1]}, x});
  MPSGraphTensor *tw = c.input({{g.out, g.in / g.groups, g.kernel[0], g.kernel[1]}, w});
  MPSGraphTensor *tdy = c.input({{g.count, g.out, g.output(0), g.output(1)}, dy});
  MPSGraphConvolution2DOpDescriptor *d =
      [MPSGraphConvolution2DOpDescriptor descriptorWithStrideInX:(NSUInteger)g.stride[1]
                                                       strideInY:(NSUInteger)g.stride[0]
                                                 dilationRateInX:(NSUInteger)g.dilation[1]
                                                 dilationRateInY:(NSUInteger)g.dilation[0]
                                                          groups:(NSUInteger)g.groups
                                                     paddingLeft:(NSUInteger)g.low[1]
                                                    paddingRight:(NSUInteger)g.high[1]
                                                      paddingTop:(NSUInteger)g.low[0]
                                                   paddingBottom:(NSUInteger)g.high[0]
                                                    paddingStyle:MPSGraphPaddingStyleExplicit
                                                      dataLayout:MPSGraphTensorNamedDataLayoutNCHW
                                                   weightsLayout:MPSGraphTensorNamedDataLayoutOIHW];
  MPSGraphTensor *y = [c.graph() convolution2DWithSourceTensor:tx
                                                 weightsTensor:tw
                                                    descriptor:d
                                                          name:nil];
  MPSGraphTensor *dx = [c.graph() convolution2DDataGradientWithIncomingGradientTensor:tdy
                                                                        weightsTensor:tw
                                                                          outputShape:[tx shape]
                                                         forwardConvolutionDescriptor:d
                                                                                 name:nil];
  MPSGraphTensor *dw = [c.graph() convolution2DWeightsGradientWithIncomingGradientTensor:tdy
                                                                            sourceTensor:tx
                                                                             outputShape:[tw shape]
                                                            forwardConvolutionDescriptor:d
                                                                                    name:nil];
  return c.run_all(@[ y, dx, dw ]);
}

class Images {
 public:
  Images(id<MTLDevice> device, long count, long height, long width, long channels)
      : count_(count), pixels_(height * width), channels_(channels) {
    MPSImageDescriptor *d =
        [MPSImageDescriptor imageDescriptorWithChannelFormat:MPSImageFeatureChannelFormatFloat32
                                                       width:(NSUInteger)width
                                                      height:(NSUInteger)height
                                             featureChannels:(NSUInteger)channels];
    NSMutableArray<MPSImage *> *images = [NSMutableArray array];
    for (long i = 0; i < count; ++i)
      [images addObject:[[[MPSImage alloc] initWithDevice:device imageDescriptor:d] autorelease]];
    batch_ = images;
  }
  void write(const std::vector<float> &nchw) {
    for (long i = 0; i < count_; ++i) {
      [[batch_ objectAtIndex:(NSUInteger)i] writeBytes:nchw.data() + i * pixels_ * channels_
                                            dataLayout:MPSDataLayoutFeatureChannelsxHeightxWidth
                                            imageIndex:0];
    }
  }
  std::vector<float> read() const {
    std::vector<float> nchw((size_t)(count_ * pixels_ * channels_));
    for (long i = 0; i < count_; ++i) {
      [[batch_ objectAtIndex:(NSUInteger)i] readBytes:nchw.data() + i * pixels_ * channels_
                                           dataLayout:MPSDataLayoutFeatureChannelsxHeightxWidth
                                           imageIndex:0];
    }
    return nchw;
  }
  MPSImageBatch *batch() const { return batch_; }

 private:
  long count_, pixels_, channels_;
  MPSImageBatch *batch_;
};

// Offsets as Apple's documentation of MPSCNNConvolutionGradient gives them.
void set_offsets(const Geometry &g, MPSCNNConvolution *forward,
                 MPSCNNConvolutionGradient *backward) {
  const long y = g.extent(0) / 2 - g.low[0], x = g.extent(1) / 2 - g.low[1];
  [forward setOffset:(MPSOffset){x, y, 0}];
  [backward setKernelOffsetX:-x + (~g.extent(1) & 1)];
  [backward setKernelOffsetY:-y + (~g.extent(0) & 1)];
  [backward setSecondaryOffset:(MPSOffset){x - g.extent(1) / 2, y - g.extent(0) / 2, 0}];
}

std::vector<float> read_private(id<MTLDevice> device, id<MTLCommandQueue> queue,
                                id<MTLBuffer> buffer) {
  id<MTLBuffer> shared = [[device newBufferWithLength:[buffer length] options:0] autorelease];
  id<MTLCommandBuffer> commands = [queue commandBuffer];
  id<MTLBlitCommandEncoder> blit = [commands blitCommandEncoder];
  [blit copyFromBuffer:buffer
           sourceOffset:0
               toBuffer:shared
      destinationOffset:0
                   size:[buffer length]];
  [blit endEncoding];
  [commands commit];
  [commands waitUntilCompleted];
  const float *first = (const float *)[shared contents];
  return std::vector<float>(first, first + [shared length] / 4);
}

void compare(const Geometry &g) {
  id<MTLDevice> device = [MTLCreateSystemDefaultDevice() autorelease];
  id<MTLCommandQueue> queue = [[device newCommandQueue] autorelease];
  const std::vector<float> x = numbers((size_t)(g.count * g.in * g.pixels()), 1);
  const std::vector<float> w = numbers((size_t)(g.out * g.in / g.groups * g.taps()), 2);
  const std::vector<float> dy = numbers((size_t)(g.count * g.out * g.output_pixels()), 3);
  const auto want = by_graph(g, x, w, dy);
  TestWeights *source = weights_for(g, w);
  MPSCNNConvolution *forward = [[[MPSCNNConvolution alloc] initWithDevice:device
                                                                  weights:source] autorelease];
  MPSCNNConvolutionGradient *backward =
      [[[MPSCNNConvolutionGradient alloc] initWithDevice:device weights:source] autorelease];
  set_offsets(g, forward, backward);
  Images ix(device, g.count, g.size[0], g.size[1], g.in),
      iy(device, g.count, g.output(0), g.output(1), g.out);
  Images idx(device, g.count, g.size[0], g.size[1], g.in),
      idy(device, g.count, g.output(0), g.output(1), g.out);
  ix.write(x);
  idy.write(dy);
  MPSCNNConvolutionGradientStateBatch *states = [forward resultStateBatchForSourceImage:ix.batch()
                                                                           sourceStates:nil
                                                                       destinationImage:iy.batch()];
  MPSCommandBuffer *commands = [MPSCommandBuffer commandBufferFromCommandQueue:queue];
  [forward encodeBatchToCommandBuffer:commands
                         sourceImages:ix.batch()
                    destinationStates:(MPSStateBatch *)states
                    destinationImages:iy.batch()];
  [backward encodeBatchToCommandBuffer:commands
                       sourceGradients:idy.batch()
                          sourceImages:ix.batch()
                        gradientStates:(MPSStateBatch *)states
                  destinationGradients:idx.batch()];
  [commands commit];
  [commands waitUntilCompleted];
  CHECK_NEAR(iy.read(), want[0], 1e-5);
  CHECK_NEAR(idx.read(), want[1], 1e-5);
  id<MTLBuffer> gradient = [[states objectAtIndex:0] gradientForWeights];
  CHECK_NEAR(swap_last(read_private(device, queue, gradient), g.out, g.taps(), g.in / g.groups),
             want[2], 1e-5);
  std::vector<float> sums((size_t)g.out, 0);
  for (size_t i = 0; i < dy.size(); ++i)
    sums[i / (size_t)g.output_pixels() % (size_t)g.out] += dy[i];
  CHECK_NEAR(read_private(device, queue, [[states objectAtIndex:0] gradientForBiases]), sums, 1e-5);
}

}  // namespace

TEST(cnn_convolution_agrees_with_the_graph) {
  Geometry g[6];
  g[1].low[0] = g[1].low[1] = g[1].high[0] = g[1].high[1] = 1;
  g[2].stride[0] = 2, g[2].stride[1] = 3, g[2].low[1] = 2;
  g[3].kernel[0] = 2, g[3].kernel[1] = 4, g[3].low[0] = 1, g[3].high[1] = 1, g[3].stride[1] = 2;
  g[4].dilation[0] = g[4].dilation[1] = 2, g[4].low[0] = 2, g[4].kernel[1] = 2;
  g[5].groups = 2, g[5].in = 8, g[5].out = 8, g[5].high[0] = 2;
  for (const Geometry &geometry : g) compare(geometry);
}

TEST(weights_are_reloaded_from_a_buffer) {
  id<MTLDevice> device = [MTLCreateSystemDefaultDevice() autorelease];
  id<MTLCommandQueue> queue = [[device newCommandQueue] autorelease];
  Geometry g;
  g.count = 1, g.in = g.out = 1, g.kernel[0] = g.kernel[1] = 1, g.size[0] = 1, g.size[1] = 2;
  TestWeights *source = weights_for(g, {3});
  source->_biases = new std::vector<float>{0.5f};
  MPSCNNConvolution *forward = [[[MPSCNNConvolution alloc] initWithDevice:device
                                                                  weights:source] autorelease];
  Images x(device, 1, 1, 2, 1), y(device, 1, 1, 2, 1);
  x.write({1, 2});
  const float fresh[] = {0, 10, 7};
  id<MTLBuffer> buffer = [[device newBufferWithBytes:fresh length:sizeof fresh
                                             options:0] autorelease];
  MPSCNNConvolutionWeightsAndBiasesState *state = [[[MPSCNNConvolutionWeightsAndBiasesState alloc]
               initWithWeights:buffer
                 weightsOffset:4
                        biases:buffer
                  biasesOffset:8
      cnnConvolutionDescriptor:source->_descriptor] autorelease];
  MPSCommandBuffer *commands = [MPSCommandBuffer commandBufferFromCommandQueue:queue];
  [forward encodeBatchToCommandBuffer:commands sourceImages:x.batch() destinationImages:y.batch()];
  [commands commit];
  [commands waitUntilCompleted];
  CHECK_NEAR(y.read(), (std::vector<float>{3.5f, 6.5f}), 0);
  commands = [MPSCommandBuffer commandBufferFromCommandQueue:queue];
  [forward reloadWeightsAndBiasesWithCommandBuffer:commands state:state];
  [forward encodeBatchToCommandBuffer:commands sourceImages:x.batch() destinationImages:y.batch()];
  [commands commit];
  [commands waitUntilCompleted];
  CHECK_NEAR(y.read(), (std::vector<float>{17, 27}), 0);
}

TEST(arrays_and_images_are_copied_on_the_device) {
  id<MTLDevice> device = [MTLCreateSystemDefaultDevice() autorelease];
  id<MTLCommandQueue> queue = [[device newCommandQueue] autorelease];
  MPSNDArrayDescriptor *d = [MPSNDArrayDescriptor descriptorWithDataType:MPSDataTypeFloat32
                                                                   shape:@[ @2, @1, @2, @3 ]];
  MPSNDArray *source = [[[MPSNDArray alloc] initWithDevice:device descriptor:d] autorelease];
  MPSNDArray *back = [[[MPSNDArray alloc] initWithDevice:device descriptor:d] autorelease];
  CHECK([source lengthOfDimension:0] == 3 && [source lengthOfDimension:3] == 2);
  std::vector<float> nhwc = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, got(12);
  [source writeBytes:nhwc.data() strideBytes:NULL];
  Images images(device, 2, 1, 2, 3);
  headless_reset_counters();
  MPSCommandBuffer *commands = [MPSCommandBuffer commandBufferFromCommandQueue:queue];
  [source exportDataWithCommandBuffer:commands
                             toImages:images.batch()
                               offset:(MPSImageCoordinate){0, 0, 0}];
  [back importDataWithCommandBuffer:commands
                         fromImages:images.batch()
                             offset:(MPSImageCoordinate){0, 0, 0}];
  [commands commit];
  [commands waitUntilCompleted];
  headless_counters now;
  headless_read_counters(&now);
  CHECK(now.host_copies == 0 && now.kernel_encodes == 2 && now.allocations == 0);
  CHECK_NEAR(images.read(), (std::vector<float>{1, 4, 2, 5, 3, 6, 7, 10, 8, 11, 9, 12}), 0);
  [back readBytes:got.data() strideBytes:NULL];
  CHECK_NEAR(got, nhwc, 0);
}

TEST(an_image_of_several_pictures_is_a_batch) {
  id<MTLDevice> device = [MTLCreateSystemDefaultDevice() autorelease];
  MPSImageDescriptor *d =
      [MPSImageDescriptor imageDescriptorWithChannelFormat:MPSImageFeatureChannelFormatFloat16
                                                     width:2
                                                    height:1
                                           featureChannels:1
                                            numberOfImages:3
                                                     usage:MTLTextureUsageShaderRead];
  MPSImage *image = [[[MPSImage alloc] initWithDevice:device imageDescriptor:d] autorelease];
  const _Float16 pixels[] = {5, 6};
  [image writeBytes:pixels dataLayout:MPSDataLayoutHeightxWidthxFeatureChannels imageIndex:1];
  MPSImageBatch *batch = [image batchRepresentation];
  _Float16 got[2];
  [[batch objectAtIndex:1] readBytes:got
                          dataLayout:MPSDataLayoutHeightxWidthxFeatureChannels
                          imageIndex:0];
  CHECK([batch count] == 3 && got[0] == pixels[0] && got[1] == pixels[1]);
}

TEST(misuse_of_convolution_kernels_aborts) {
  id<MTLDevice> device = [MTLCreateSystemDefaultDevice() autorelease];
  id<MTLCommandQueue> queue = [[device newCommandQueue] autorelease];
  Geometry g;
  TestWeights *source = weights_for(g, numbers(54, 1));
  MPSCNNConvolution *forward = [[[MPSCNNConvolution alloc] initWithDevice:device
                                                                  weights:source] autorelease];
  Images x(device, 2, 5, 6, 3), y(device, 2, 3, 4, 2), wrong(device, 2, 3, 4, 3),
      few(device, 1, 3, 4, 2);
  MPSCommandBuffer *commands = [MPSCommandBuffer commandBufferFromCommandQueue:queue];
  CHECK_ABORTS([forward encodeBatchToCommandBuffer:commands
                                      sourceImages:x.batch()
                                 destinationImages:wrong.batch()]);
  CHECK_ABORTS([forward encodeBatchToCommandBuffer:commands
                                      sourceImages:x.batch()
                                 destinationImages:few.batch()]);
  [source->_descriptor setGroups:2];
  CHECK_ABORTS([[MPSCNNConvolution alloc] initWithDevice:device weights:source]);
}
