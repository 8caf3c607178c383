#include "hybrid_convolution.h"

#include "emit.h"
#include "hybrid_source.h"

namespace onestep {

Dims channels_last(const Dims &dims) { return {dims[0], dims[2], dims[3], dims[1]}; }

ConvolutionShape convolution_shape(const Graph &graph, const Node &node) {
  const Dims &w = graph.input(node, 1).dims;
  return {graph.input(node, 0).dims, w, node.dims, convolution_window(node, w)};
}

namespace {

NSUInteger u(int64_t value) { return static_cast<NSUInteger>(value); }

// How far a window reaches.
int64_t extent(const Window &window, int axis) {
  return window.dilation[axis] * (window.size[axis] - 1) + 1;
}

// MPSCNNConvolution places the centre of a window, at half of its extent, on the offset. This puts
// its first element `low` before the picture.
MPSOffset forward_offset(const Window &window) {
  MPSOffset offset = {0, 0, 0};
  offset.y = extent(window, 0) / 2 - window.low[0];
  offset.x = extent(window, 1) / 2 - window.low[1];
  return offset;
}

// The gradient kernel counts from the other end: -offset, and one more for a window of even extent.
NSInteger kernel_offset(const Window &window, int axis) {
  int64_t offset = extent(window, axis) / 2 - window.low[axis];
  return (extent(window, axis) % 2 == 0 ? 1 : 0) - offset;
}

MPSCNNConvolutionDescriptor *descriptor_of(const ConvolutionShape &shape) {
  const Window &w = shape.window;
  MPSCNNConvolutionDescriptor *descriptor = [MPSCNNConvolutionDescriptor
      cnnConvolutionDescriptorWithKernelWidth:u(w.size[1]) kernelHeight:u(w.size[0])
                         inputFeatureChannels:u(shape.x[1]) outputFeatureChannels:u(shape.w[0])];
  [descriptor setStrideInPixelsX:u(w.stride[1])];
  [descriptor setStrideInPixelsY:u(w.stride[0])];
  [descriptor setDilationRateX:u(w.dilation[1])];
  [descriptor setDilationRateY:u(w.dilation[0])];
  [descriptor setGroups:u(w.groups)];
  return descriptor;
}

Status no_room() {
  return failure(ONESTEP_OUT_OF_MEMORY, "the device has no room for a convolution's memory");
}

constexpr MPSImageCoordinate kOrigin = {0, 0, 0};

}  // namespace

Status HybridConvolution::create(onestep_device &device, const ConvolutionShape &shape,
                                 bool trains, Handle<HybridConvolution> *out) {
  auto made = Handle<HybridConvolution>::adopt(new HybridConvolution);
  made->shape_ = shape;
  ONESTEP_TRY(made->make_memory(device, trains));
  ONESTEP_TRY(made->make_kernels(device, trains));
  *out = std::move(made);
  return ok();
}

Status HybridConvolution::make_array(onestep_device &device, const Dims &dims,
                                     Ref<MPSNDArray *> *out) {
  Dims last = channels_last(dims);
  MPSNDArrayDescriptor *descriptor =
      [MPSNDArrayDescriptor descriptorWithDataType:MPSDataTypeFloat32 shape:shape_of(last)];
  device.counters.metal_allocations++;
  *out = Ref<MPSNDArray *>::adopt(
      [[MPSNDArray alloc] initWithDevice:device.metal.get() descriptor:descriptor]);
  bytes_ += static_cast<uint64_t>(elements(dims)) * 4;
  return *out ? ok() : no_room();
}

// A batch of pictures in one image: the copies and kernels take it apart.
Status HybridConvolution::make_images(onestep_device &device, const Dims &dims,
                                      Ref<MPSImage *> *owner, Ref<NSArray *> *batch) {
  MPSImageDescriptor *descriptor = [MPSImageDescriptor
      imageDescriptorWithChannelFormat:MPSImageFeatureChannelFormatFloat32 width:u(dims[3])
                                height:u(dims[2]) featureChannels:u(dims[1])
                        numberOfImages:u(dims[0])
                                 usage:MTLTextureUsageShaderRead | MTLTextureUsageShaderWrite];
  [descriptor setStorageMode:MTLStorageModePrivate];
  device.counters.metal_allocations++;
  *owner = Ref<MPSImage *>::adopt(
      [[MPSImage alloc] initWithDevice:device.metal.get() imageDescriptor:descriptor]);
  if (!*owner) return no_room();
  *batch = Ref<NSArray *>([owner->get() batchRepresentation]);
  bytes_ += static_cast<uint64_t>(elements(dims)) * 4;
  return *batch ? ok() : no_room();
}

Status HybridConvolution::make_memory(onestep_device &device, bool trains) {
  ONESTEP_TRY(make_array(device, shape_.x, &x));
  ONESTEP_TRY(make_array(device, shape_.y, &y));
  ONESTEP_TRY(make_images(device, shape_.x, &x_owner_, &x_images_));
  ONESTEP_TRY(make_images(device, shape_.y, &y_owner_, &y_images_));
  uint64_t weight_bytes = static_cast<uint64_t>(elements(shape_.w)) * 4;
  uint64_t bias_bytes = static_cast<uint64_t>(shape_.w[0]) * 4;
  ONESTEP_TRY(device.allocate(weight_bytes, ONESTEP_STORAGE_PRIVATE, &weight));
  ONESTEP_TRY(device.allocate(bias_bytes, ONESTEP_STORAGE_PRIVATE, &bias_));
  // The graph adds biases itself; the kernel's own stay 0.
  ONESTEP_TRY(device.fill_and_wait(bias_.get(), 0, bias_bytes, 0));
  bytes_ += weight_bytes + bias_bytes;
  if (!trains) return ok();
  ONESTEP_TRY(make_array(device, shape_.x, &dx));
  ONESTEP_TRY(make_array(device, shape_.y, &dy));
  ONESTEP_TRY(make_images(device, shape_.x, &dx_owner_, &dx_images_));
  return make_images(device, shape_.y, &dy_owner_, &dy_images_);
}

Status HybridConvolution::make_kernels(onestep_device &device, bool trains) {
  id<MTLDevice> metal = device.metal.get();
  auto source = Ref<OnestepConvolutionSource *>::adopt([[OnestepConvolutionSource alloc]
      initWithDescriptor:descriptor_of(shape_) weightCount:u(elements(shape_.w))]);
  device.counters.metal_allocations++;
  forward_ = Ref<MPSCNNConvolution *>::adopt(
      [[MPSCNNConvolution alloc] initWithDevice:metal weights:source.get()]);
  if (!forward_) return no_room();
  [forward_.get() setEdgeMode:MPSImageEdgeModeZero];
  [forward_.get() setOffset:forward_offset(shape_.window)];
  [forward_.get()
      setAccumulatorPrecisionOption:MPSNNConvolutionAccumulatorPrecisionOptionFloat];
  weights_state_ = Ref<MPSCNNConvolutionWeightsAndBiasesState *>::adopt(
      [[MPSCNNConvolutionWeightsAndBiasesState alloc] initWithWeights:weight.get()
                                                               biases:bias_.get()]);
  if (!weights_state_) return no_room();
  if (!trains) return ok();

  device.counters.metal_allocations += 2;
  gradient_ = Ref<MPSCNNConvolutionGradient *>::adopt(
      [[MPSCNNConvolutionGradient alloc] initWithDevice:metal weights:source.get()]);
  if (!gradient_) return no_room();
  const Window &window = shape_.window;
  [gradient_.get() setGradientOption:MPSCNNConvolutionGradientOptionAll];
  [gradient_.get() setKernelOffsetY:kernel_offset(window, 0)];
  [gradient_.get() setKernelOffsetX:kernel_offset(window, 1)];
  MPSOffset first = {static_cast<NSInteger>(-window.low[1]),
                     static_cast<NSInteger>(-window.low[0]), 0};
  [gradient_.get() setSecondaryOffset:first];
  // One state for the batch, made once: the gradient of the weight is summed over its pictures.
  gradient_states_ = Ref<NSArray *>([forward_.get() resultStateBatchForSourceImage:x_images_.get()
                                                                      sourceStates:nil
                                                                  destinationImage:y_images_.get()]);
  return gradient_states_ ? ok() : no_room();
}

id<MTLBuffer> HybridConvolution::weight_gradient() const {
  MPSCNNConvolutionGradientState *state = [gradient_states_.get() objectAtIndex:0];
  return [state gradientForWeights];
}

void HybridConvolution::encode_forward(MPSCommandBuffer *commands) {
  [x.get() exportDataWithCommandBuffer:commands toImages:x_images_.get() offset:kOrigin];
  [forward_.get() reloadWeightsAndBiasesWithCommandBuffer:commands state:weights_state_.get()];
  [forward_.get() encodeBatchToCommandBuffer:commands sourceImages:x_images_.get()
                           destinationImages:y_images_.get()];
  [y.get() importDataWithCommandBuffer:commands fromImages:y_images_.get() offset:kOrigin];
}

// The images of the forward pass still hold the input.
void HybridConvolution::encode_backward(MPSCommandBuffer *commands) {
  [dy.get() exportDataWithCommandBuffer:commands toImages:dy_images_.get() offset:kOrigin];
  [gradient_.get() reloadWeightsAndBiasesWithCommandBuffer:commands state:weights_state_.get()];
  [gradient_.get() encodeBatchToCommandBuffer:commands sourceGradients:dy_images_.get()
                                 sourceImages:x_images_.get() gradientStates:gradient_states_.get()
                         destinationGradients:dx_images_.get()];
  [dx.get() importDataWithCommandBuffer:commands fromImages:dx_images_.get() offset:kOrigin];
}

Status HybridStage::encode(MPSCommandBuffer *commands, const StepContext &step) {
  if (backward_) {
    convolution_->encode_backward(commands);
  } else {
    convolution_->encode_forward(commands);
  }
  step.device.counters.encodes += encodes();
  return ok();
}

}  // namespace onestep
