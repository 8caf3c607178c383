// Products of (batches of) matrices, and softmax.
#include "broadcast.h"

#include "runtime.h"
#include <algorithm>
#include <cmath>

namespace headless {
namespace {

// c[m, n] += a[m, k] b[k, n], accumulated in f32.
template <class T>
void multiply_matrices(const T *a, const T *b, T *c, int64_t m, int64_t k, int64_t n) {
  std::vector<float> row((size_t)n);
  for (int64_t i = 0; i < m; ++i) {
    std::fill(row.begin(), row.end(), 0.0f);
    for (int64_t j = 0; j < k; ++j) {
      const float factor = (float)a[i * k + j];
      for (int64_t l = 0; l < n; ++l) row[(size_t)l] += factor * (float)b[j * n + l];
    }
    for (int64_t l = 0; l < n; ++l) c[i * n + l] = T(row[(size_t)l]);
  }
}

// The leading axes, which are broadcast, with rank `rank` by ones.
Shape batch_of(const Shape &shape) { return Shape(shape.begin(), shape.end() - 2); }

void evaluate_matmul(const Arrays &in, Array &out) {
  const Shape &sa = in[0].type.shape, &sb = in[1].type.shape, &sc = out.type.shape;
  const int64_t m = sa[sa.size() - 2], k = sa.back(), n = sb.back();
  const Shape batch = batch_of(sc);
  Shape steps_a = broadcast_strides(batch_of(sa), batch),
        steps_b = broadcast_strides(batch_of(sb), batch);
  // One "row" of the loop is one product: give it a last axis of size 1.
  Shape loop = batch;
  for (Shape *shape : {&loop, &steps_a, &steps_b}) shape->push_back(shape == &loop ? 1 : 0);
  visit(out.type.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    for_each_row(loop, {steps_a, steps_b}, [&](int64_t index, const int64_t *offsets) {
      multiply_matrices(in[0].data<T>() + offsets[0] * m * k, in[1].data<T>() + offsets[1] * k * n,
                        out.data<T>() + index * m * n, m, k, n);
    });
  });
}

template <class T>
void evaluate_softmax(size_t axis, const Array &x, Array &y) {
  const Shape &shape = x.type.shape;
  const int64_t size = shape[axis], step = strides_of(shape)[axis];
  const int64_t outer = size == 0 ? 0 : x.count() / (size * step);
  std::vector<float> row((size_t)size);
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t inner = 0; inner < step; ++inner) {
      const T *from = x.data<T>() + o * size * step + inner;
      T *to = y.data<T>() + o * size * step + inner;
      float largest = -INFINITY;
      for (int64_t i = 0; i < size; ++i) largest = std::max(largest, (float)from[i * step]);
      double sum = 0;
      for (int64_t i = 0; i < size; ++i)
        sum += row[(size_t)i] = std::exp((float)from[i * step] - largest);
      for (int64_t i = 0; i < size; ++i) to[i * step] = T((float)(row[(size_t)i] / sum));
    }
  }
}

}  // namespace

Node *matmul(Node *a, Node *b) {
  require_same_dtype("matmul", {a, b});
  if (!is_float(a->type.dtype))
    fail_op("matmul", "operands must be of a floating-point type, got " + text(a->type));
  const Shape &sa = a->type.shape, &sb = b->type.shape;
  if (sa.size() < 2 || sb.size() < 2)
    fail_op("matmul", "operands must have rank 2 or more: " + text(sa) + " and " + text(sb));
  if (sa.back() != sb[sb.size() - 2])
    fail_op("matmul", "contracting dimensions differ: " + text(sa) + " and " + text(sb));
  Shape shape = broadcast_shape("matmul", batch_of(sa), batch_of(sb));
  shape.push_back(sa[sa.size() - 2]);
  shape.push_back(sb.back());
  return a->graph->add({"matmul", evaluate_matmul}, {a, b},
                       {shape, a->type.dtype});
}

Node *softmax(Node *x, size_t axis) {
  if (!is_float(x->type.dtype))
    fail_op("softmax", "operand must be of a floating-point type, got " + text(x->type));
  auto evaluate = [axis](const Arrays &in, Array &out) {
    visit(out.type.dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      if constexpr (std::is_same_v<Compute<T>, float>) evaluate_softmax<T>(axis, in[0], out);
    });
  };
  return x->graph->add({"softmax", evaluate}, {x}, x->type);
}

}  // namespace headless

using namespace headless;

@implementation MPSGraph (MPSGraphMatrixMultiplicationOps)
- (MPSGraphTensor *)matrixMultiplicationWithPrimaryTensor:(MPSGraphTensor *)primaryTensor
                                          secondaryTensor:(MPSGraphTensor *)secondaryTensor
                                                     name:(NSString *)name {
  return tensor_of(matmul(node_of(primaryTensor), node_of(secondaryTensor)));
}
@end
