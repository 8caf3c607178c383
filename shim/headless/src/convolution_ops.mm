// Convolutions of MPSGraph: the operation and its two gradients.
#include "convolution.h"
#include "ops.h"
#include "runtime.h"

struct HeadlessConvolution {
  // Like MPSGraph's: what is not set is 0, and a descriptor with zeros aborts when it is used.
  NSUInteger strideInX = 0, strideInY = 0, dilationRateInX = 0, dilationRateInY = 0, groups = 0;
  NSUInteger paddingLeft = 0, paddingRight = 0, paddingTop = 0, paddingBottom = 0;
  MPSGraphPaddingStyle paddingStyle = MPSGraphPaddingStyleExplicit;
  MPSGraphTensorNamedDataLayout dataLayout = MPSGraphTensorNamedDataLayoutNCHW;
  MPSGraphTensorNamedDataLayout weightsLayout = MPSGraphTensorNamedDataLayoutNCHW;
};

namespace headless {
namespace {

using Descriptor = HeadlessConvolution;

// A tensor in channels-first layout, and back from it.
Node *channels_first(Node *x, MPSGraphTensorNamedDataLayout layout) {
  const std::vector<size_t> permutation = to_channels_first(layout);
  return permutation.empty() ? x : transpose(x, permutation);
}

Node *in_layout(Node *x, MPSGraphTensorNamedDataLayout layout) {
  const std::vector<size_t> permutation = from_channels_first(layout);
  return permutation.empty() ? x : transpose(x, permutation);
}

Shape permuted(const Shape &shape, const std::vector<size_t> &permutation) {
  if (permutation.empty()) return shape;
  Shape result;
  for (size_t axis : permutation) result.push_back(shape[axis]);
  return result;
}

void check(const char *op, const Descriptor &d) {
  if (d.strideInX < 1 || d.strideInY < 1 || d.dilationRateInX < 1 || d.dilationRateInY < 1) {
    fail_op(op,
            "strides and dilation rates of the descriptor must be at least 1: is it filled in?");
  }
  if (d.groups < 1) fail_op(op, "groups of the descriptor must be at least 1: is it filled in?");
  if (d.weightsLayout != MPSGraphTensorNamedDataLayoutOIHW &&
      d.weightsLayout != MPSGraphTensorNamedDataLayoutHWIO) {
    fail_op(op, "weightsLayout of the descriptor must be OIHW or HWIO: is it filled in?");
  }
}

// The sizes for an input [n, c, h, w] and weights [o, c / groups, kh, kw].
ConvolutionSizes sizes_of(const char *op, const Descriptor &d, const Shape &x, const Shape &w) {
  check(op, d);
  if (x.size() != 4 || w.size() != 4)
    fail_op(op, "operands must have rank 4, got " + text(x) + " and " + text(w));
  ConvolutionSizes s;
  s.groups = (int64_t)d.groups;
  s.count = x[0];
  s.input_channels = x[1];
  s.output_channels = w[0];
  if (w[1] * s.groups != x[1]) {
    fail_op(op, "input channels and weight input channels must match: " + text(x) + ", " + text(w) +
                    " and " + std::to_string(s.groups) + " groups");
  }
  if (s.output_channels % s.groups != 0)
    fail_op(op, "output channels are not divisible by the groups: " + text(w));
  const NSUInteger *stride[] = {&d.strideInY, &d.strideInX},
                   *dilation[] = {&d.dilationRateInY, &d.dilationRateInX};
  const NSUInteger *low[] = {&d.paddingTop, &d.paddingLeft},
                   *high[] = {&d.paddingBottom, &d.paddingRight};
  for (int axis = 0; axis < 2; ++axis) {
    s.input[axis] = x[2 + (size_t)axis];
    s.window.size[axis] = w[2 + (size_t)axis];
    s.window.stride[axis] = (int64_t)*stride[axis];
    s.window.dilation[axis] = (int64_t)*dilation[axis];
    s.window.pad_low[axis] = (int64_t)*low[axis];
    s.window.pad_high[axis] = (int64_t)*high[axis];
  }
  s.window.resolve_padding(op, d.paddingStyle, s.input);
  for (int axis = 0; axis < 2; ++axis)
    s.output[axis] = s.window.output_size(op, axis, s.input[axis]);
  return s;
}

using Loop = void (*)(const ConvolutionSizes &, const float *, const float *, float *);

// Runs a loop on f32 copies, so that low precision accumulates in f32.
void evaluate(Loop loop, const ConvolutionSizes &sizes, const Arrays &in, Array &out) {
  std::vector<std::vector<float>> operands;
  for (const Array &array : in) {
    visit(array.type.dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      operands.emplace_back(array.data<T>(), array.data<T>() + array.count());
    });
  }
  std::vector<float> result((size_t)out.count());
  loop(sizes, operands[0].data(), operands[1].data(), result.data());
  visit(out.type.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    for (size_t i = 0; i < result.size(); ++i) out.data<T>()[i] = T((Compute<T>)result[i]);
  });
}

Node *add_loop(const char *op, Loop loop, const ConvolutionSizes &sizes, Node *a, Node *b,
               const Shape &shape) {
  require_same_dtype(op, {a, b});
  if (!is_float(a->type.dtype))
    fail_op(op, "operands must be of a floating-point type, got " + text(a->type));
  auto run = [loop, sizes](const Arrays &in, Array &out) { evaluate(loop, sizes, in, out); };
  return a->graph->add({op, run}, {a, b}, {shape, a->type.dtype});
}

Shape input_shape(const ConvolutionSizes &s) {
  return {s.count, s.input_channels, s.input[0], s.input[1]};
}
Shape output_shape(const ConvolutionSizes &s) {
  return {s.count, s.output_channels, s.output[0], s.output[1]};
}
Shape weights_shape(const ConvolutionSizes &s) {
  return {s.output_channels, s.channels_in_group(), s.window.size[0], s.window.size[1]};
}

// The three operations on channels-first tensors.
Node *forward(const ConvolutionSizes &sizes, Node *x, Node *w) {
  return add_loop("conv_2d", convolve, sizes, x, w, output_shape(sizes));
}

Node *data_gradient(const ConvolutionSizes &sizes, Node *dy, Node *w) {
  return add_loop("conv_2d_data_gradient", convolve_data_gradient, sizes, dy, w,
                  input_shape(sizes));
}

Node *weights_gradient(const ConvolutionSizes &sizes, Node *x, Node *dy) {
  return add_loop("conv_2d_weights_gradient", convolve_weights_gradient, sizes, x, dy,
                  weights_shape(sizes));
}

void require_shape(const char *op, Node *node, const Shape &shape) {
  if (node->type.shape != shape)
    fail_op(op, "expected " + text(shape) + ", got " + text(node->type));
}

const Descriptor &descriptor_of(const char *op, MPSGraphConvolution2DOpDescriptor *descriptor) {
  if (!descriptor) fail_op(op, "the descriptor is nil");
  return *descriptor->_headless;
}

}  // namespace
}  // namespace headless

using namespace headless;

@implementation MPSGraph (MPSGraphConvolutionOps)

- (MPSGraphTensor *)convolution2DWithSourceTensor:(MPSGraphTensor *)source
                                    weightsTensor:(MPSGraphTensor *)weights
                                       descriptor:(MPSGraphConvolution2DOpDescriptor *)descriptor
                                             name:(NSString *)name {
  const Descriptor &d = descriptor_of("conv_2d", descriptor);
  check("conv_2d", d);
  (void)pictures_of("conv_2d", node_of(source)->type.shape, d.dataLayout);
  if (node_of(weights)->type.shape.size() != 4) fail_op("conv_2d", "weights must have rank 4");
  Node *x = channels_first(node_of(source), d.dataLayout),
       *w = channels_first(node_of(weights), d.weightsLayout);
  return tensor_of(
      in_layout(forward(sizes_of("conv_2d", d, x->type.shape, w->type.shape), x, w), d.dataLayout));
}

- (MPSGraphTensor *)convolution2DDataGradientWithIncomingGradientTensor:
                        (MPSGraphTensor *)incomingGradient
                                                          weightsTensor:(MPSGraphTensor *)weights
                                                            outputShape:(MPSShape *)outputShape
                                           forwardConvolutionDescriptor:
                                               (MPSGraphConvolution2DOpDescriptor *)descriptor
                                                                   name:(NSString *)name {
  const char *op = "conv_2d_data_gradient";
  const Descriptor &d = descriptor_of(op, descriptor);
  check(op, d);
  Node *dy = channels_first(node_of(incomingGradient), d.dataLayout),
       *w = channels_first(node_of(weights), d.weightsLayout);
  const Shape shape = permuted(shape_from(outputShape), to_channels_first(d.dataLayout));
  const ConvolutionSizes sizes = sizes_of(op, d, shape, w->type.shape);
  require_shape(op, dy, output_shape(sizes));
  return tensor_of(in_layout(data_gradient(sizes, dy, w), d.dataLayout));
}

- (MPSGraphTensor *)convolution2DWeightsGradientWithIncomingGradientTensor:
                        (MPSGraphTensor *)incomingGradient
                                                              sourceTensor:(MPSGraphTensor *)source
                                                               outputShape:(MPSShape *)outputShape
                                              forwardConvolutionDescriptor:
                                                  (MPSGraphConvolution2DOpDescriptor *)descriptor
                                                                      name:(NSString *)name {
  const char *op = "conv_2d_weights_gradient";
  const Descriptor &d = descriptor_of(op, descriptor);
  check(op, d);
  Node *dy = channels_first(node_of(incomingGradient), d.dataLayout),
       *x = channels_first(node_of(source), d.dataLayout);
  const Shape shape = permuted(shape_from(outputShape), to_channels_first(d.weightsLayout));
  const ConvolutionSizes sizes = sizes_of(op, d, x->type.shape, shape);
  require_shape(op, dy, output_shape(sizes));
  return tensor_of(in_layout(weights_gradient(sizes, x, dy), d.weightsLayout));
}
@end

#define FIELD(type, getter, Setter)  \
  -(type)getter {                    \
    return _headless->getter;        \
  }                                  \
  -(void)set##Setter : (type)value { \
    _headless->getter = value;       \
  }

@implementation MPSGraphConvolution2DOpDescriptor

+ (instancetype)descriptorWithStrideInX:(NSUInteger)strideInX
                              strideInY:(NSUInteger)strideInY
                        dilationRateInX:(NSUInteger)dilationRateInX
                        dilationRateInY:(NSUInteger)dilationRateInY
                                 groups:(NSUInteger)groups
                            paddingLeft:(NSUInteger)paddingLeft
                           paddingRight:(NSUInteger)paddingRight
                             paddingTop:(NSUInteger)paddingTop
                          paddingBottom:(NSUInteger)paddingBottom
                           paddingStyle:(MPSGraphPaddingStyle)paddingStyle
                             dataLayout:(MPSGraphTensorNamedDataLayout)dataLayout
                          weightsLayout:(MPSGraphTensorNamedDataLayout)weightsLayout {
  MPSGraphConvolution2DOpDescriptor *descriptor = [[[self alloc] init] autorelease];
  *descriptor->_headless = {strideInX,     strideInY,    dilationRateInX, dilationRateInY,
                            groups,        paddingLeft,  paddingRight,    paddingTop,
                            paddingBottom, paddingStyle, dataLayout,      weightsLayout};
  return descriptor;
}

+ (instancetype)descriptorWithStrideInX:(NSUInteger)strideInX
                              strideInY:(NSUInteger)strideInY
                        dilationRateInX:(NSUInteger)dilationRateInX
                        dilationRateInY:(NSUInteger)dilationRateInY
                                 groups:(NSUInteger)groups
                           paddingStyle:(MPSGraphPaddingStyle)paddingStyle
                             dataLayout:(MPSGraphTensorNamedDataLayout)dataLayout
                          weightsLayout:(MPSGraphTensorNamedDataLayout)weightsLayout {
  return [self descriptorWithStrideInX:strideInX
                             strideInY:strideInY
                       dilationRateInX:dilationRateInX
                       dilationRateInY:dilationRateInY
                                groups:groups
                           paddingLeft:0
                          paddingRight:0
                            paddingTop:0
                         paddingBottom:0
                          paddingStyle:paddingStyle
                            dataLayout:dataLayout
                         weightsLayout:weightsLayout];
}

- (instancetype)init {
  if ((self = [super init])) _headless = new HeadlessConvolution;
  return self;
}

- (void)dealloc {
  delete _headless;
  [super dealloc];
}

- (id)copyWithZone:(NSZone *)zone {
  MPSGraphConvolution2DOpDescriptor *copy = [[MPSGraphConvolution2DOpDescriptor alloc] init];
  *copy->_headless = *_headless;
  return copy;
}

- (void)setExplicitPaddingWithPaddingLeft:(NSUInteger)paddingLeft
                             paddingRight:(NSUInteger)paddingRight
                               paddingTop:(NSUInteger)paddingTop
                            paddingBottom:(NSUInteger)paddingBottom {
  _headless->paddingLeft = paddingLeft;
  _headless->paddingRight = paddingRight;
  _headless->paddingTop = paddingTop;
  _headless->paddingBottom = paddingBottom;
}

FIELD(NSUInteger, strideInX, StrideInX)
FIELD(NSUInteger, strideInY, StrideInY)
FIELD(NSUInteger, dilationRateInX, DilationRateInX)
FIELD(NSUInteger, dilationRateInY, DilationRateInY)
FIELD(NSUInteger, paddingLeft, PaddingLeft)
FIELD(NSUInteger, paddingRight, PaddingRight)
FIELD(NSUInteger, paddingTop, PaddingTop)
FIELD(NSUInteger, paddingBottom, PaddingBottom)
FIELD(NSUInteger, groups, Groups)
FIELD(MPSGraphPaddingStyle, paddingStyle, PaddingStyle)
FIELD(MPSGraphTensorNamedDataLayout, dataLayout, DataLayout)
FIELD(MPSGraphTensorNamedDataLayout, weightsLayout, WeightsLayout)
@end
