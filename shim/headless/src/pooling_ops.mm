// Poolings of MPSGraph and their gradients.
#include "ops.h"
#include "pooling.h"
#include "runtime.h"
#include "window.h"
#include <limits>

namespace headless {
namespace {

struct Pooling {
  Window window;
  int64_t planes = 0, input[2] = {0, 0}, output[2] = {0, 0};
  bool count_padding = false;
};

Pooling pooling_of(const char *op, const HeadlessPooling &d, const Shape &shape) {
  if (d.strideInX < 1 || d.strideInY < 1 || d.dilationRateInX < 1 || d.dilationRateInY < 1 ||
      d.kernelWidth < 1 || d.kernelHeight < 1) {
    fail_op(op, "kernel sizes, strides and dilation rates of the descriptor must be at least 1: is "
                "it filled in?");
  }
  if (d.dataLayout != MPSGraphTensorNamedDataLayoutNCHW)
    fail_op(op, "only the layout NCHW is implemented");
  const Pictures pictures = pictures_of(op, shape, d.dataLayout);
  Pooling p;
  p.planes = pictures.count * pictures.channels;
  p.count_padding = d.includeZeroPadToAverage;
  p.window = {{(int64_t)d.kernelHeight, (int64_t)d.kernelWidth},
              {(int64_t)d.strideInY, (int64_t)d.strideInX},
              {(int64_t)d.dilationRateInY, (int64_t)d.dilationRateInX},
              {(int64_t)d.paddingTop, (int64_t)d.paddingLeft},
              {(int64_t)d.paddingBottom, (int64_t)d.paddingRight},
              (bool)d.ceilMode};
  p.window.resolve_padding(op, d.paddingStyle, pictures.size);
  for (int axis = 0; axis < 2; ++axis) {
    p.input[axis] = pictures.size[axis];
    p.output[axis] = p.window.output_size(op, axis, p.input[axis]);
  }
  return p;
}

Shape output_shape(const Pooling &p, const Shape &input) {
  return {input[0], input[1], p.output[0], p.output[1]};
}

// Calls f(window, inside) for each window: its offset in the result, and the offsets of its
// elements in the picture, row by row, without padding.
template <class F>
void for_each_window(const Pooling &p, F f) {
  std::vector<int64_t> inside;
  for (int64_t plane = 0; plane < p.planes; ++plane) {
    for (int64_t row = 0; row < p.output[0]; ++row) {
      for (int64_t column = 0; column < p.output[1]; ++column) {
        inside.clear();
        for (int64_t ky = 0; ky < p.window.size[0]; ++ky) {
          const int64_t y = p.window.source(0, row, ky);
          for (int64_t kx = 0; kx < p.window.size[1] && y >= 0 && y < p.input[0]; ++kx) {
            const int64_t x = p.window.source(1, column, kx);
            if (x >= 0 && x < p.input[1])
              inside.push_back((plane * p.input[0] + y) * p.input[1] + x);
          }
        }
        f((plane * p.output[0] + row) * p.output[1] + column, inside);
      }
    }
  }
}

// The first largest element; a NaN wins.
template <class T>
int64_t largest(const Array &x, const std::vector<int64_t> &inside) {
  int64_t best = inside[0];
  for (int64_t at : inside) {
    const float value = (float)x.data<T>()[at], old = (float)x.data<T>()[best];
    if (value > old || (value != value && old == old)) best = at;
  }
  return best;
}

float divisor(const Pooling &p, size_t inside) {
  return (float)(p.count_padding ? p.window.size[0] * p.window.size[1] : (int64_t)inside);
}

template <class T>
void evaluate_max(const Pooling &p, const Array &x, Array &y) {
  for_each_window(p, [&](int64_t window, const std::vector<int64_t> &inside) {
    y.data<T>()[window] = inside.empty() ? T((Compute<T>)-std::numeric_limits<float>::infinity())
                                         : x.data<T>()[largest<T>(x, inside)];
  });
}

template <class T>
void evaluate_average(const Pooling &p, const Array &x, Array &y) {
  for_each_window(p, [&](int64_t window, const std::vector<int64_t> &inside) {
    float sum = 0;
    for (int64_t at : inside) sum += (float)x.data<T>()[at];
    y.data<T>()[window] = T((Compute<T>)(inside.empty() ? 0.0f : sum / divisor(p, inside.size())));
  });
}

template <class T>
void store(const std::vector<float> &sums, Array &out) {
  for (size_t i = 0; i < sums.size(); ++i) out.data<T>()[i] = T((Compute<T>)sums[i]);
}

template <class T>
void evaluate_max_gradient(const Pooling &p, const Array &dy, const Array &x, Array &dx) {
  std::vector<float> sums((size_t)dx.count(), 0.0f);
  for_each_window(p, [&](int64_t window, const std::vector<int64_t> &inside) {
    if (!inside.empty()) sums[(size_t)largest<T>(x, inside)] += (float)dy.data<T>()[window];
  });
  store<T>(sums, dx);
}

template <class T>
void evaluate_average_gradient(const Pooling &p, const Array &dy, Array &dx) {
  std::vector<float> sums((size_t)dx.count(), 0.0f);
  for_each_window(p, [&](int64_t window, const std::vector<int64_t> &inside) {
    const float share =
        inside.empty() ? 0.0f : (float)dy.data<T>()[window] / divisor(p, inside.size());
    for (int64_t at : inside) sums[(size_t)at] += share;
  });
  store<T>(sums, dx);
}

void require_pictures(const char *op, const Nodes &nodes) {
  require_same_dtype(op, nodes);
  if (!is_float(nodes[0]->type.dtype))
    fail_op(op, "operands must be of a floating-point type, got " + text(nodes[0]->type));
}

#define VISIT_FLOATS(dtype, ...)                                  \
  visit(dtype, [&](auto tag) {                                    \
    using T = typename decltype(tag)::type;                       \
    if constexpr (std::is_same_v<Compute<T>, float>) __VA_ARGS__; \
  })

Node *average(const Pooling &p, Node *x);

Node *average_gradient(const Pooling &p, Node *dy, const Shape &shape) {
  auto run = [p](const Arrays &in, Array &out) {
    VISIT_FLOATS(out.type.dtype, evaluate_average_gradient<T>(p, in[0], out));
  };
  return dy->graph->add({"pool_avg_gradient", run}, {dy}, {shape, dy->type.dtype});
}

Node *average(const Pooling &p, Node *x) {
  auto run = [p](const Arrays &in, Array &out) {
    VISIT_FLOATS(out.type.dtype, evaluate_average<T>(p, in[0], out));
  };
  return x->graph->add({"pool_avg", run}, {x},
                       {output_shape(p, x->type.shape), x->type.dtype});
}

Node *max_gradient(const Pooling &p, Node *dy, Node *x) {
  auto run = [p](const Arrays &in, Array &out) {
    VISIT_FLOATS(out.type.dtype, evaluate_max_gradient<T>(p, in[0], in[1], out));
  };
  return x->graph->add({"pool_max_gradient", run}, {dy, x}, x->type);
}

Node *maximum(const Pooling &p, Node *x) {
  auto run = [p](const Arrays &in, Array &out) {
    VISIT_FLOATS(out.type.dtype, evaluate_max<T>(p, in[0], out));
  };
  return x->graph->add({"pool_max", run}, {x},
                       {output_shape(p, x->type.shape), x->type.dtype});
}

// The pooling of a source, and a check of the gradient's shape where there is one.
Pooling checked(const char *op, MPSGraphPooling2DOpDescriptor *descriptor, Node *source,
                Node *gradient) {
  if (!descriptor) fail_op(op, "the descriptor is nil");
  require_pictures(op, gradient ? Nodes{source, gradient} : Nodes{source});
  const Pooling p = pooling_of(op, *descriptor->_headless, source->type.shape);
  if (gradient && gradient->type.shape != output_shape(p, source->type.shape)) {
    fail_op(op, "the gradient must be " + text(output_shape(p, source->type.shape)) + ", got " +
                    text(gradient->type));
  }
  return p;
}

}  // namespace
}  // namespace headless

using namespace headless;

@implementation MPSGraph (MPSGraphPoolingOps)

- (MPSGraphTensor *)maxPooling2DWithSourceTensor:(MPSGraphTensor *)source
                                      descriptor:(MPSGraphPooling2DOpDescriptor *)descriptor
                                            name:(NSString *)name {
  Node *x = node_of(source);
  return tensor_of(maximum(checked("pool_max", descriptor, x, nullptr), x));
}

- (MPSGraphTensor *)maxPooling2DGradientWithGradientTensor:(MPSGraphTensor *)gradient
                                              sourceTensor:(MPSGraphTensor *)source
                                                descriptor:
                                                    (MPSGraphPooling2DOpDescriptor *)descriptor
                                                      name:(NSString *)name {
  Node *x = node_of(source), *dy = node_of(gradient);
  return tensor_of(max_gradient(checked("pool_max_gradient", descriptor, x, dy), dy, x));
}

- (MPSGraphTensor *)avgPooling2DWithSourceTensor:(MPSGraphTensor *)source
                                      descriptor:(MPSGraphPooling2DOpDescriptor *)descriptor
                                            name:(NSString *)name {
  Node *x = node_of(source);
  return tensor_of(average(checked("pool_avg", descriptor, x, nullptr), x));
}

- (MPSGraphTensor *)avgPooling2DGradientWithGradientTensor:(MPSGraphTensor *)gradient
                                              sourceTensor:(MPSGraphTensor *)source
                                                descriptor:
                                                    (MPSGraphPooling2DOpDescriptor *)descriptor
                                                      name:(NSString *)name {
  Node *x = node_of(source), *dy = node_of(gradient);
  return tensor_of(
      average_gradient(checked("pool_avg_gradient", descriptor, x, dy), dy, x->type.shape));
}
@end
