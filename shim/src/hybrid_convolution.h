// Convolutions through MPSCNNConvolution, for systems on which MPSGraph's own aborts. Pictures pass
// between the graphs and the kernels as arrays [n, h, w, c], the layout of MPSImage.
#pragma once

#include "stage.h"
#include "window.h"

namespace onestep {

// The sizes of one convolution.
struct ConvolutionShape {
  Dims x, w, y;  // [n, c, h, w], [o, c/groups, kh, kw], [n, o, h', w']
  Window window;
};

// [n, c, h, w] as [n, h, w, c].
Dims channels_last(const Dims &dims);

// The shape of a CONV node.
ConvolutionShape convolution_shape(const Graph &graph, const Node &node);

// The kernels and images of one convolution, shared by its forward and its backward stage.
class HybridConvolution : public Counted {
 public:
  static Status create(onestep_device &device, const ConvolutionShape &shape, bool trains,
                       Handle<HybridConvolution> *out);

  // Arrays that the graphs write and read: the input and the output, and their gradients.
  Ref<MPSNDArray *> x, y, dx, dy;
  // Where the graph writes the weight, [o, kh, kw, c/groups].
  Ref<id<MTLBuffer>> weight;
  // Where the gradient of the weight is, in the same layout.
  id<MTLBuffer> weight_gradient() const;
  uint64_t bytes() const { return bytes_; }

  void encode_forward(MPSCommandBuffer *commands);
  void encode_backward(MPSCommandBuffer *commands);

 private:
  Status make_memory(onestep_device &device, bool trains);
  Status make_kernels(onestep_device &device, bool trains);
  Status make_array(onestep_device &device, const Dims &dims, Ref<MPSNDArray *> *out);
  Status make_images(onestep_device &device, const Dims &dims, Ref<MPSImage *> *owner,
                     Ref<NSArray *> *batch);

  ConvolutionShape shape_;
  uint64_t bytes_ = 0;
  Ref<MPSCNNConvolution *> forward_;
  Ref<MPSCNNConvolutionGradient *> gradient_;
  Ref<MPSCNNConvolutionWeightsAndBiasesState *> weights_state_;
  Ref<NSArray *> gradient_states_;
  Ref<id<MTLBuffer>> bias_;
  Ref<MPSImage *> x_owner_, y_owner_, dx_owner_, dy_owner_;
  Ref<NSArray *> x_images_, y_images_, dx_images_, dy_images_;
};

// Either pass of a convolution as a stage.
class HybridStage : public Stage {
 public:
  HybridStage(Handle<HybridConvolution> convolution, bool backward)
      : convolution_(std::move(convolution)), backward_(backward) {}
  Status link(const Bindings &) override { return ok(); }
  Status encode(MPSCommandBuffer *commands, const StepContext &step) override;
  // Two copies between arrays and images, the weights, and the kernel itself.
  uint32_t encodes() const override { return 4; }

 private:
  Handle<HybridConvolution> convolution_;
  bool backward_;
};

}  // namespace onestep
