// Matrix products, convolutions and pooling.

#include "emit.h"

#include <algorithm>

#include "window.h"

namespace onestep {

namespace {

// More than three axes as one batch: products of any rank are products of rank 3.
MPSGraphTensor *batched(MPSGraph *g, MPSGraphTensor *x, const Dims &dims) {
  size_t rank = dims.size();
  if (rank <= 3) return x;
  int64_t batch = elements(Dims(dims.begin(), dims.end() - 2));
  return reshaped(g, x, {batch, dims[rank - 2], dims[rank - 1]});
}

MPSGraphTensor *transposed(MPSGraph *g, MPSGraphTensor *x) {
  auto rank = static_cast<NSUInteger>([[x shape] count]);
  return [g transposeTensor:x dimension:rank - 2 withDimension:rank - 1 name:nil];
}

// The longest inner dimension of a product; longer ones are sums of several.
constexpr int64_t kLongestProduct = 16384;

// `start .. start + size` of an axis.
MPSGraphTensor *cut(MPSGraph *g, MPSGraphTensor *x, size_t axis, int64_t start, int64_t size) {
  Dims starts(dims_of(x).size()), ends = dims_of(x), strides(ends.size(), 1);
  if (ends[axis] == size) return x;
  starts[axis] = start;
  ends[axis] = start + size;
  return [g sliceTensor:x starts:numbers(starts) ends:numbers(ends) strides:numbers(strides)
                   name:nil];
}

// Every field is set: with layouts left to their defaults the weights are taken for NCHW, and the
// platform's compiler ends the process.
MPSGraphConvolution2DOpDescriptor *descriptor(const Window &w) {
  auto u = [](int64_t value) { return static_cast<NSUInteger>(value); };
  return [MPSGraphConvolution2DOpDescriptor
      descriptorWithStrideInX:u(w.stride[1]) strideInY:u(w.stride[0])
              dilationRateInX:u(w.dilation[1]) dilationRateInY:u(w.dilation[0])
                       groups:u(w.groups) paddingLeft:u(w.low[1]) paddingRight:u(w.high[1])
                   paddingTop:u(w.low[0]) paddingBottom:u(w.high[0])
                 paddingStyle:MPSGraphPaddingStyleExplicit
                   dataLayout:MPSGraphTensorNamedDataLayoutNCHW
                weightsLayout:MPSGraphTensorNamedDataLayoutOIHW];
}

MPSGraphPooling2DOpDescriptor *pooling_descriptor(const Window &w) {
  auto u = [](int64_t value) { return static_cast<NSUInteger>(value); };
  MPSGraphPooling2DOpDescriptor *pooling = [MPSGraphPooling2DOpDescriptor
      descriptorWithKernelWidth:u(w.size[1]) kernelHeight:u(w.size[0]) strideInX:u(w.stride[1])
                      strideInY:u(w.stride[0]) dilationRateInX:u(w.dilation[1])
                dilationRateInY:u(w.dilation[0]) paddingLeft:u(w.low[1])
                   paddingRight:u(w.high[1]) paddingTop:u(w.low[0]) paddingBottom:u(w.high[0])
                   paddingStyle:MPSGraphPaddingStyleExplicit
                     dataLayout:MPSGraphTensorNamedDataLayoutNCHW];
  // Padding is worked out by the caller; the platform's own rounding is wrong in some cases.
  [pooling setCeilMode:NO];
  // The sum of a window is its mean over all of it, padding included, times its size.
  [pooling setIncludeZeroPadToAverage:YES];
  return pooling;
}

MPSGraphTensor *scaled(MPSGraph *g, MPSGraphTensor *x, const Window &w) {
  MPSGraphTensor *size = scalar_constant(g, static_cast<double>(w.size[0] * w.size[1]));
  return [g multiplicationWithPrimaryTensor:x secondaryTensor:size name:nil];
}

}  // namespace

MPSGraphTensor *emit_matmul(MPSGraph *g, const Graph &graph, const Node &node, const Tensors &in) {
  MPSGraphTensor *a = batched(g, in[0], graph.input(node, 0).dims);
  MPSGraphTensor *b = batched(g, in[1], graph.input(node, 1).dims);
  bool ta = node.ints[0] != 0, tb = node.ints[1] != 0;
  MPSGraphTensor *c = nil;
  size_t rank = dims_of(a).size();
  int64_t inner = dims_of(a)[rank - (ta ? 2 : 1)];
  // M1 and M2 read past operands with an inner dimension of 32767 or more.
  for (int64_t at = 0; at < inner; at += kLongestProduct) {
    int64_t size = std::min(kLongestProduct, inner - at);
    MPSGraphTensor *left = cut(g, a, rank - (ta ? 2 : 1), at, size);
    MPSGraphTensor *right = cut(g, b, rank - (tb ? 1 : 2), at, size);
    MPSGraphTensor *part =
        [g matrixMultiplicationWithPrimaryTensor:ta ? transposed(g, left) : left
                                 secondaryTensor:tb ? transposed(g, right) : right
                                            name:nil];
    c = c ? [g additionWithPrimaryTensor:c secondaryTensor:part name:nil] : part;
  }
  return node.dims.size() <= 3 ? c : reshaped(g, c, node.dims);
}

MPSGraphTensor *emit_convolution(MPSGraph *g, const Graph &graph, const Node &node,
                                 const Tensors &in) {
  const Dims &weight =
      node.op == ONESTEP_OP_CONV_WEIGHT_GRAD ? node.dims : graph.input(node, 1).dims;
  MPSGraphConvolution2DOpDescriptor *window = descriptor(convolution_window(node, weight));
  switch (node.op) {
    case ONESTEP_OP_CONV:
      return [g convolution2DWithSourceTensor:in[0] weightsTensor:in[1] descriptor:window name:nil];
    case ONESTEP_OP_CONV_INPUT_GRAD:
      return [g convolution2DDataGradientWithIncomingGradientTensor:in[0] weightsTensor:in[1]
                                                        outputShape:shape_of(node.dims)
                                       forwardConvolutionDescriptor:window
                                                               name:nil];
    default:
      return [g convolution2DWeightsGradientWithIncomingGradientTensor:in[1] sourceTensor:in[0]
                                                           outputShape:shape_of(node.dims)
                                          forwardConvolutionDescriptor:window
                                                                  name:nil];
  }
}

MPSGraphTensor *emit_pooling(MPSGraph *g, const Node &node, const Tensors &in) {
  Window window = pooling_window(node);
  MPSGraphPooling2DOpDescriptor *pooling = pooling_descriptor(window);
  switch (node.op) {
    case ONESTEP_OP_MAX_POOL:
      return [g maxPooling2DWithSourceTensor:in[0] descriptor:pooling name:nil];
    case ONESTEP_OP_MAX_POOL_GRAD:
      return [g maxPooling2DGradientWithGradientTensor:in[1] sourceTensor:in[0] descriptor:pooling
                                                  name:nil];
    case ONESTEP_OP_SUM_POOL:
      return scaled(g, [g avgPooling2DWithSourceTensor:in[0] descriptor:pooling name:nil], window);
    default: {
      // The gradient asks for a source only for its shape.
      MPSGraphTensor *source = [g constantWithScalar:0 shape:shape_of(node.dims)
                                            dataType:MPSDataTypeFloat32];
      MPSGraphTensor *dx = [g avgPooling2DGradientWithGradientTensor:in[0] sourceTensor:source
                                                          descriptor:pooling name:nil];
      return scaled(g, dx, window);
    }
  }
}

}  // namespace onestep
