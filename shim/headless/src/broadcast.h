// Elementwise loops over broadcast operands.
#pragma once
#include "ops.h"

namespace headless {

// The shape of an elementwise result: aligned at the right, sizes equal or 1.
Shape broadcast_shape(const char *op, const Shape &a, const Shape &b);

// result[i] = f(a[i]); A and R are element types.
template <class A, class R, class F>
void map1(const Array &a, Array &result, F f) {
  const A *x = a.data<A>();
  R *y = result.data<R>();
  const int64_t count = result.count();
  for (int64_t i = 0; i < count; ++i) y[i] = R(f(Compute<A>(x[i])));
}

// result[i] = f(a[i], b[i]) with both operands broadcast to the result.
template <class T, class R, class F>
void map2(const Array &a, const Array &b, Array &result, F f) {
  const Shape &shape = result.type.shape;
  const Shape sa = broadcast_strides(a.type.shape, shape),
              sb = broadcast_strides(b.type.shape, shape);
  const int64_t length = shape.empty() ? 1 : shape.back();
  const int64_t step_a = shape.empty() ? 0 : sa.back(), step_b = shape.empty() ? 0 : sb.back();
  const T *x = a.data<T>(), *y = b.data<T>();
  R *z = result.data<R>();
  for_each_row(shape, {sa, sb}, [&](int64_t row, const int64_t *offsets) {
    const T *xr = x + offsets[0], *yr = y + offsets[1];
    for (int64_t i = 0; i < length; ++i) {
      z[row + i] = R(f(Compute<T>(xr[i * step_a]), Compute<T>(yr[i * step_b])));
    }
  });
}

}  // namespace headless
