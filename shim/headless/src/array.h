// Typed arrays in plain row-major memory, and loops over them.
#pragma once
#import <MetalPerformanceShaders/MPSCoreTypes.h>
#include <memory>
#include <stdint.h>
#include <string.h>
#include <string>
#include <type_traits>
#include <vector>

namespace headless {

using Shape = std::vector<int64_t>;

struct Type {
  Shape shape;
  MPSDataType dtype;
};

int64_t elements(const Shape &shape);
size_t size_of(MPSDataType dtype);
// The strides of a contiguous array in elements.
Shape strides_of(const Shape &shape);
std::string text(const Shape &shape);
std::string text(MPSDataType dtype);
std::string text(const Type &type);
bool is_float(MPSDataType dtype);

// From and to arrays of NSNumber.
Shape shape_from(NSArray<NSNumber *> *numbers);
MPSShape *numbers_from(const Shape &shape);

// IEEE 754 binary16, rounded to nearest even.
struct Half {
  uint16_t bits;
  Half() = default;
  explicit Half(float value);
  operator float() const;
};

// The upper half of a binary32, rounded to nearest even.
struct BFloat16 {
  uint16_t bits;
  BFloat16() = default;
  explicit BFloat16(float value);
  operator float() const;
};

struct Boolean {
  uint8_t bits;
  Boolean() = default;
  explicit Boolean(int64_t value) : bits(value != 0) {}
  operator int64_t() const { return bits != 0; }
};

// The type in which elements of type T are computed: low precision in f32, integers in i64.
template <class T>
using Compute =
    std::conditional_t<std::is_integral_v<T> || std::is_same_v<T, Boolean>, int64_t, float>;

template <class T>
struct Tag {
  using type = T;
};

[[noreturn]] void fail_dtype(MPSDataType dtype);

// Calls f(Tag<T>{}) with the element type.
template <class F>
decltype(auto) visit(MPSDataType dtype, F &&f) {
  switch (dtype) {
    case MPSDataTypeFloat32: return f(Tag<float>{});
    case MPSDataTypeFloat16: return f(Tag<Half>{});
    case MPSDataTypeBFloat16: return f(Tag<BFloat16>{});
    case MPSDataTypeInt32: return f(Tag<int32_t>{});
    case MPSDataTypeInt64: return f(Tag<int64_t>{});
    case MPSDataTypeUInt8: return f(Tag<uint8_t>{});
    case MPSDataTypeBool: return f(Tag<Boolean>{});
    default: fail_dtype(dtype);
  }
}

// Elements in memory that is shared.
struct Array {
  Type type;
  std::shared_ptr<uint8_t> memory;

  static Array make(Type type);
  int64_t count() const { return elements(type.shape); }
  size_t bytes() const { return (size_t)count() * size_of(type.dtype); }
  template <class T>
  T *data() const {
    return (T *)(void *)memory.get();
  }
};

// The strides with which an operand is read under a result's shape: 0 where it is repeated.
Shape broadcast_strides(const Shape &operand, const Shape &result);

// Calls f(result offset, offsets) for each row (last axis) of a result; `offsets` has one element
// offset for each set of strides.
template <size_t N, class F>
void for_each_row(const Shape &shape, const Shape (&strides)[N], F &&f) {
  const size_t rank = shape.size();
  const int64_t length = rank == 0 ? 1 : shape[rank - 1];
  const int64_t rows = length == 0 ? 0 : elements(shape) / length;
  std::vector<int64_t> index(rank, 0);
  int64_t offsets[N] = {};
  for (int64_t row = 0; row < rows; ++row) {
    f(row * length, offsets);
    for (size_t axis = rank - (rank > 0); axis-- > 0;) {
      ++index[axis];
      for (size_t k = 0; k < N; ++k) offsets[k] += strides[k][axis];
      if (index[axis] < shape[axis]) break;
      for (size_t k = 0; k < N; ++k) offsets[k] -= strides[k][axis] * shape[axis];
      index[axis] = 0;
    }
  }
}

// Copies elements whatever their type: result[i] = source[offset + i . strides].
void copy_strided(const Array &source, int64_t offset, const Shape &strides, Array &result);

}  // namespace headless
