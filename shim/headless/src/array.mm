#include "array.h"

#include "runtime.h"

namespace headless {

int64_t elements(const Shape &shape) {
  int64_t count = 1;
  for (int64_t size : shape) count *= size;
  return count;
}

size_t size_of(MPSDataType dtype) { return (dtype & 0xff) / 8; }

Shape strides_of(const Shape &shape) {
  Shape strides(shape.size());
  int64_t stride = 1;
  for (size_t axis = shape.size(); axis-- > 0;) {
    strides[axis] = stride;
    stride *= shape[axis];
  }
  return strides;
}

std::string text(const Shape &shape) {
  std::string result = "[";
  for (size_t i = 0; i < shape.size(); ++i) result += (i ? "," : "") + std::to_string(shape[i]);
  return result + "]";
}

std::string text(MPSDataType dtype) {
  switch (dtype) {
    case MPSDataTypeFloat32: return "f32";
    case MPSDataTypeFloat16: return "f16";
    case MPSDataTypeBFloat16: return "bf16";
    case MPSDataTypeInt32: return "si32";
    case MPSDataTypeInt64: return "si64";
    case MPSDataTypeUInt8: return "ui8";
    case MPSDataTypeBool: return "i1";
    default: return "data type " + std::to_string((uint32_t)dtype);
  }
}

std::string text(const Type &type) {
  return "tensor<" + text(type.shape) + " x " + text(type.dtype) + ">";
}

bool is_float(MPSDataType dtype) {
  return dtype == MPSDataTypeFloat32 || dtype == MPSDataTypeFloat16 || dtype == MPSDataTypeBFloat16;
}

Shape shape_from(NSArray<NSNumber *> *numbers) {
  if (!numbers) fail_assertion("a shape is nil");
  Shape shape;
  for (NSNumber *number in numbers) shape.push_back([number longLongValue]);
  return shape;
}

MPSShape *numbers_from(const Shape &shape) {
  NSMutableArray<NSNumber *> *numbers = [NSMutableArray arrayWithCapacity:shape.size()];
  for (int64_t size : shape) [numbers addObject:[NSNumber numberWithLongLong:size]];
  return numbers;
}

namespace {

uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

float float_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

}  // namespace

Half::Half(float value) {
  const uint32_t sign = (bits_of(value) >> 16) & 0x8000;
  const uint32_t magnitude = bits_of(value) & 0x7fffffff;
  if (magnitude >= 0x47800000) {  // 65536 and above, infinity and NaN
    bits = (uint16_t)(sign | (magnitude > 0x7f800000 ? 0x7e00 : 0x7c00));
  } else if (magnitude < 0x38800000) {  // below the smallest normal number: let f32 addition round
    const float shifted = float_of(magnitude) + float_of(0x3f000000);
    bits = (uint16_t)(sign | (bits_of(shifted) - 0x3f000000));
  } else {
    const uint32_t odd = (magnitude >> 13) & 1;
    bits = (uint16_t)(sign | ((magnitude - 0x38000000 + 0xfff + odd) >> 13));
  }
}

Half::operator float() const {
  const uint32_t sign = (uint32_t)(bits & 0x8000) << 16;
  const uint32_t magnitude = bits & 0x7fff;
  if (magnitude >= 0x7c00) return float_of(sign | 0x7f800000 | (magnitude & 0x3ff) << 13);
  if (magnitude >= 0x400) return float_of(sign | ((magnitude << 13) + 0x38000000));
  return (sign ? -1.0f : 1.0f) * (float)magnitude * 0x1p-24f;
}

BFloat16::BFloat16(float value) {
  const uint32_t all = bits_of(value);
  if ((all & 0x7fffffff) > 0x7f800000) {
    bits = 0x7fc0;
  } else {
    bits = (uint16_t)((all + 0x7fff + ((all >> 16) & 1)) >> 16);
  }
}

BFloat16::operator float() const { return float_of((uint32_t)bits << 16); }

void fail_dtype(MPSDataType dtype) { fail_assertion("unsupported element type: " + text(dtype)); }

Array Array::make(Type type) {
  const size_t bytes = (size_t)elements(type.shape) * size_of(type.dtype);
  std::shared_ptr<uint8_t> memory(new uint8_t[bytes ? bytes : 1], std::default_delete<uint8_t[]>());
  return Array{std::move(type), std::move(memory)};
}

Shape broadcast_strides(const Shape &operand, const Shape &result) {
  const Shape own = strides_of(operand);
  Shape strides(result.size(), 0);
  const size_t missing = result.size() - operand.size();
  for (size_t axis = 0; axis < operand.size(); ++axis) {
    if (operand[axis] != 1) strides[missing + axis] = own[axis];
  }
  return strides;
}

namespace {

template <class Word>
void copy_words(const Array &source, int64_t offset, const Shape &strides, Array &result) {
  const Word *from = source.data<Word>() + offset;
  Word *to = result.data<Word>();
  const Shape &shape = result.type.shape;
  const int64_t length = shape.empty() ? 1 : shape.back();
  const int64_t step = shape.empty() ? 0 : strides.back();
  for_each_row(shape, {strides}, [&](int64_t row, const int64_t *offsets) {
    for (int64_t i = 0; i < length; ++i) to[row + i] = from[offsets[0] + i * step];
  });
}

}  // namespace

void copy_strided(const Array &source, int64_t offset, const Shape &strides, Array &result) {
  switch (size_of(source.type.dtype)) {
    case 1: return copy_words<uint8_t>(source, offset, strides, result);
    case 2: return copy_words<uint16_t>(source, offset, strides, result);
    case 4: return copy_words<uint32_t>(source, offset, strides, result);
    default: return copy_words<uint64_t>(source, offset, strides, result);
  }
}

}  // namespace headless
