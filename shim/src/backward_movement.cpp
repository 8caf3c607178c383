// The gradients of reductions, movement and indexing.

#include <algorithm>

#include "backward.h"

namespace onestep {

namespace {

constexpr uint32_t kNone = ONESTEP_NO_VALUE;

Gradients reduce_sum(Backward &b, const GradientSite &s) {
  return {b.broadcast(s.dy, Dims(b.dims(b.input(s.y, 0))))};
}

// Equal extremes share the gradient.
Gradients reduce_extreme(Backward &b, const GradientSite &s) {
  uint32_t x = b.input(s.y, 0);
  Dims dims = b.dims(x);
  const int64_t *ints = b.node(s.y).ints;
  std::vector<int64_t> axes(ints + 1, ints + 1 + ints[0]);
  uint32_t spread = b.broadcast(s.dy, dims);
  uint32_t hit = b.binary(ONESTEP_OP_EQ, x, b.broadcast(s.y, dims));
  uint32_t share = b.div(hit, b.broadcast(b.sum(hit, axes), dims));
  return {b.mul(spread, share)};
}

Gradients reshape(Backward &b, const GradientSite &s) {
  return {b.reshape(s.dy, Dims(b.dims(b.input(s.y, 0))))};
}

Gradients permute(Backward &b, const GradientSite &s) {
  uint32_t x = b.input(s.y, 0);
  uint32_t dx = b.write(ONESTEP_OP_PERMUTE, Dims(b.dims(x)), {s.dy});
  const int64_t *axes = b.node(s.y).ints;
  for (size_t i = 0; i < b.dims(x).size(); i++) b.last().ints[axes[i]] = static_cast<int64_t>(i);
  return {dx};
}

Gradients broadcast(Backward &b, const GradientSite &s) {
  Dims from = b.dims(b.input(s.y, 0)), to = b.dims(s.y);
  size_t missing = to.size() - from.size();
  std::vector<int64_t> axes;
  for (size_t axis = 0; axis < to.size(); axis++) {
    bool repeated = axis < missing || (from[axis - missing] == 1 && to[axis] != 1);
    if (repeated) axes.push_back(static_cast<int64_t>(axis));
  }
  return {b.reshape(b.sum(s.dy, axes), from)};
}

Gradients slice(Backward &b, const GradientSite &s) {
  Dims dims = b.dims(b.input(s.y, 0));
  uint32_t dx = b.write(ONESTEP_OP_PAD, dims, {s.dy});
  const int64_t *ints = b.node(s.y).ints;
  for (size_t axis = 0; axis < dims.size(); axis++) {
    size_t behind = axis + ONESTEP_MAX_RANK;
    b.last().ints[axis] = ints[axis];
    b.last().ints[behind] = dims[axis] - ints[behind];
  }
  return {dx};
}

// All of a value along its axes but for `start .. start + size` of one.
uint32_t cut(Backward &b, uint32_t x, size_t axis, int64_t start, int64_t size) {
  Dims dims = b.dims(x);
  dims[axis] = size;
  uint32_t id = b.write(ONESTEP_OP_SLICE, dims, {x});
  for (size_t i = 0; i < dims.size(); i++) {
    int64_t first = i == axis ? start : 0;
    b.last().ints[i] = first;
    b.last().ints[i + ONESTEP_MAX_RANK] = first + dims[i];
  }
  return id;
}

Gradients concat(Backward &b, const GradientSite &s) {
  std::vector<uint32_t> inputs = b.node(s.y).inputs;
  auto axis = static_cast<size_t>(b.node(s.y).ints[0]);
  Gradients gradients;
  int64_t at = 0;
  for (uint32_t input : inputs) {
    int64_t size = b.dims(input)[axis];
    gradients.push_back(cut(b, s.dy, axis, at, size));
    at += size;
  }
  return gradients;
}

Gradients pad(Backward &b, const GradientSite &s) {
  Dims dims = b.dims(b.input(s.y, 0));
  uint32_t dx = b.write(ONESTEP_OP_SLICE, dims, {s.dy});
  const int64_t *ints = b.node(s.y).ints;
  for (size_t axis = 0; axis < dims.size(); axis++) {
    b.last().ints[axis] = ints[axis];
    b.last().ints[axis + ONESTEP_MAX_RANK] = ints[axis] + dims[axis];
  }
  return {dx};
}

Gradients gather(Backward &b, const GradientSite &s) {
  uint32_t table = b.input(s.y, 0), indices = b.input(s.y, 1);
  return {b.write(ONESTEP_OP_SCATTER_ADD, Dims(b.dims(table)), {indices, s.dy}), kNone};
}

Gradients scatter_add(Backward &b, const GradientSite &s) {
  uint32_t indices = b.input(s.y, 0), updates = b.input(s.y, 1);
  return {kNone, b.write(ONESTEP_OP_GATHER, Dims(b.dims(updates)), {s.dy, indices})};
}

}  // namespace

GradientRule movement_gradient(onestep_op op) {
  switch (op) {
    case ONESTEP_OP_REDUCE_SUM: return reduce_sum;
    case ONESTEP_OP_REDUCE_MAX:
    case ONESTEP_OP_REDUCE_MIN: return reduce_extreme;
    case ONESTEP_OP_RESHAPE: return reshape;
    case ONESTEP_OP_PERMUTE: return permute;
    case ONESTEP_OP_BROADCAST: return broadcast;
    case ONESTEP_OP_SLICE: return slice;
    case ONESTEP_OP_CONCAT: return concat;
    case ONESTEP_OP_PAD: return pad;
    case ONESTEP_OP_GATHER: return gather;
    case ONESTEP_OP_SCATTER_ADD: return scatter_add;
    default: return nullptr;
  }
}

}  // namespace onestep
