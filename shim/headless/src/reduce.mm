// Reductions.
#include "ops.h"

#include "runtime.h"
#include <cmath>
#include <limits>

namespace headless {
namespace {

const char *name_of(Reduction op) {
  switch (op) {
    case Reduction::Sum: return "reduction_sum";
    case Reduction::Product: return "reduction_product";
    case Reduction::Maximum: return "reduction_max";
    case Reduction::Minimum: return "reduction_min";
    case Reduction::MaximumNaN: return "reduction_nan_max";
    case Reduction::MinimumNaN: return "reduction_nan_min";
  }
}

// Sums are wider than their elements, so their error does not grow with the length.
template <class T>
using Accumulator = std::conditional_t<std::is_same_v<Compute<T>, float>, double, int64_t>;

// The strides of the result under the operand's shape: 0 along reduced axes.
Shape result_strides(const Shape &result) { return broadcast_strides(result, result); }

template <class T, class F>
void fold(const Array &x, Array &y, Accumulator<T> start, F f) {
  std::vector<Accumulator<T>> partial((size_t)y.count(), start);
  const Shape &shape = x.type.shape;
  const Shape strides = result_strides(y.type.shape);
  const int64_t length = shape.empty() ? 1 : shape.back(),
                step = shape.empty() ? 0 : strides.back();
  for_each_row(shape, {strides}, [&](int64_t row, const int64_t *offsets) {
    const T *from = x.data<T>() + row;
    Accumulator<T> *to = partial.data() + offsets[0];
    for (int64_t i = 0; i < length; ++i)
      to[i * step] = f(to[i * step], (Accumulator<T>)(Compute<T>)from[i]);
  });
  for (size_t i = 0; i < partial.size(); ++i) y.data<T>()[i] = T((Compute<T>)partial[i]);
}

template <class T>
void evaluate(Reduction op, const Array &x, Array &y) {
  using A = Accumulator<T>;
  const bool is_float = std::is_same_v<A, double>;
  const A low = is_float ? -std::numeric_limits<A>::infinity() : std::numeric_limits<A>::lowest();
  const A high = is_float ? std::numeric_limits<A>::infinity() : std::numeric_limits<A>::max();
  switch (op) {
    case Reduction::Sum: return fold<T>(x, y, 0, [](A a, A b) { return a + b; });
    case Reduction::Product: return fold<T>(x, y, 1, [](A a, A b) { return a * b; });
    case Reduction::Maximum: return fold<T>(x, y, low, [](A a, A b) { return b > a ? b : a; });
    case Reduction::Minimum: return fold<T>(x, y, high, [](A a, A b) { return b < a ? b : a; });
    case Reduction::MaximumNaN:
      return fold<T>(x, y, low, [](A a, A b) { return b > a || b != b ? b : a; });
    case Reduction::MinimumNaN:
      return fold<T>(x, y, high, [](A a, A b) { return b < a || b != b ? b : a; });
  }
}

template <class T>
void evaluate_arg(bool largest, size_t axis, const Array &x, Array &y) {
  const Shape strides = strides_of(x.type.shape);
  const int64_t count = x.type.shape[axis], step = strides[axis];
  const int64_t outer = elements(Shape(x.type.shape.begin(), x.type.shape.begin() + (long)axis));
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t inner = 0; inner < step; ++inner) {
      const T *from = x.data<T>() + o * count * step + inner;
      // NaN never wins, and where there is nothing else no index does.
      int64_t best = -1;
      for (int64_t i = 0; i < count; ++i) {
        const Compute<T> a(from[i * step]);
        if (a != a) continue;
        if (best < 0) {
          best = i;
          continue;
        }
        const Compute<T> b(from[best * step]);
        if (largest ? a > b : a < b) best = i;
      }
      y.data<int32_t>()[o * step + inner] = (int32_t)best;
    }
  }
}

}  // namespace

Node *reduce(Reduction op, Node *x, const std::vector<size_t> &axes) {
  if (x->type.dtype == MPSDataTypeBool) fail_op(name_of(op), "is not defined for " + text(x->type));
  Shape shape = x->type.shape;
  for (size_t axis : axes) shape[axis] = 1;
  auto compute = [op](const Arrays &in, Array &out) {
    visit(out.type.dtype,
          [&](auto tag) { evaluate<typename decltype(tag)::type>(op, in[0], out); });
  };
  return x->graph->add({name_of(op), compute}, {x}, {shape, x->type.dtype});
}

Node *arg_extremum(bool largest, Node *x, size_t axis) {
  const char *name = largest ? "reduction_arg_max" : "reduction_arg_min";
  Shape shape = x->type.shape;
  if (shape[axis] == 0) fail_op(name, "the axis is empty: " + text(x->type));
  shape[axis] = 1;
  auto compute = [largest, axis](const Arrays &in, Array &out) {
    visit(in[0].type.dtype,
          [&](auto tag) { evaluate_arg<typename decltype(tag)::type>(largest, axis, in[0], out); });
  };
  return x->graph->add({name, compute}, {x}, {shape, MPSDataTypeInt32});
}

namespace {

// nil means all axes.
std::vector<size_t> axes_from(NSArray<NSNumber *> *numbers, Node *x) {
  std::vector<size_t> axes;
  const size_t rank = x->type.shape.size();
  if (!numbers) {
    for (size_t axis = 0; axis < rank; ++axis) axes.push_back(axis);
  }
  for (NSNumber *number in numbers)
    axes.push_back(axis_of([number longLongValue], rank, "reduction"));
  return axes;
}

}  // namespace
}  // namespace headless

using namespace headless;

#define REDUCTION(method, op)                                                                  \
  -(MPSGraphTensor *)method##WithTensor : (MPSGraphTensor *)tensor axis : (NSInteger)axis name \
      : (NSString *)name {                                                                     \
    Node *x = node_of(tensor);                                                                 \
    return tensor_of(reduce(op, x, {axis_of(axis, x->type.shape.size(), "reduction")}));       \
  }                                                                                            \
  -(MPSGraphTensor *)method##WithTensor : (MPSGraphTensor *)tensor axes                        \
      : (NSArray<NSNumber *> *)axes name : (NSString *)name {                                  \
    Node *x = node_of(tensor);                                                                 \
    return tensor_of(reduce(op, x, axes_from(axes, x)));                                       \
  }

@implementation MPSGraph (MPSGraphReductionOps)
REDUCTION(reductionSum, Reduction::Sum)
REDUCTION(reductionMaximum, Reduction::Maximum)
REDUCTION(reductionMinimum, Reduction::Minimum)
REDUCTION(reductionProduct, Reduction::Product)
REDUCTION(reductionMaximumPropagateNaN, Reduction::MaximumNaN)
REDUCTION(reductionMinimumPropagateNaN, Reduction::MinimumNaN)

- (MPSGraphTensor *)reductionArgMaximumWithTensor:(MPSGraphTensor *)tensor
                                             axis:(NSInteger)axis
                                             name:(NSString *)name {
  Node *x = node_of(tensor);
  return tensor_of(arg_extremum(true, x, axis_of(axis, x->type.shape.size(), "reduction_arg_max")));
}

- (MPSGraphTensor *)reductionArgMinimumWithTensor:(MPSGraphTensor *)tensor
                                             axis:(NSInteger)axis
                                             name:(NSString *)name {
  Node *x = node_of(tensor);
  return tensor_of(
      arg_extremum(false, x, axis_of(axis, x->type.shape.size(), "reduction_arg_min")));
}
@end
