// The gradients of matrix products, convolutions, pooling and rows.

#include "backward.h"

namespace onestep {

namespace {

constexpr uint32_t kNone = ONESTEP_NO_VALUE;

uint32_t product(Backward &b, const Dims &dims, uint32_t left, bool left_transposed, uint32_t right,
                 bool right_transposed) {
  uint32_t id = b.write(ONESTEP_OP_MATMUL, dims, {left, right});
  b.last().ints[0] = left_transposed;
  b.last().ints[1] = right_transposed;
  return id;
}

Gradients matmul(Backward &b, const GradientSite &s) {
  uint32_t p = b.input(s.y, 0), q = b.input(s.y, 1);
  bool tp = b.node(s.y).ints[0] != 0, tq = b.node(s.y).ints[1] != 0;
  Dims dims_p = b.dims(p), dims_q = b.dims(q);
  uint32_t dp = tp ? product(b, dims_p, q, tq, s.dy, true) : product(b, dims_p, s.dy, false, q, !tq);
  uint32_t dq = tq ? product(b, dims_q, s.dy, true, p, tp) : product(b, dims_q, p, !tp, s.dy, false);
  return {dp, dq};
}

Gradients conv(Backward &b, const GradientSite &s) {
  uint32_t x = b.input(s.y, 0), w = b.input(s.y, 1);
  uint32_t dx = b.write_as(s.y, ONESTEP_OP_CONV_INPUT_GRAD, Dims(b.dims(x)), {s.dy, w});
  return {dx, b.write_as(s.y, ONESTEP_OP_CONV_WEIGHT_GRAD, Dims(b.dims(w)), {x, s.dy})};
}

// The result is linear in each operand, so its gradients are the two other passes of the convolution.
Gradients conv_input_grad(Backward &b, const GradientSite &s) {
  uint32_t dy = b.input(s.y, 0), w = b.input(s.y, 1);
  uint32_t first = b.write_as(s.y, ONESTEP_OP_CONV, Dims(b.dims(dy)), {s.dy, w});
  return {first, b.write_as(s.y, ONESTEP_OP_CONV_WEIGHT_GRAD, Dims(b.dims(w)), {s.dy, dy})};
}

Gradients conv_weight_grad(Backward &b, const GradientSite &s) {
  uint32_t x = b.input(s.y, 0), dy = b.input(s.y, 1);
  uint32_t first = b.write_as(s.y, ONESTEP_OP_CONV_INPUT_GRAD, Dims(b.dims(x)), {dy, s.dy});
  return {first, b.write_as(s.y, ONESTEP_OP_CONV, Dims(b.dims(dy)), {x, s.dy})};
}

Gradients max_pool(Backward &b, const GradientSite &s) {
  uint32_t x = b.input(s.y, 0);
  return {b.write_as(s.y, ONESTEP_OP_MAX_POOL_GRAD, Dims(b.dims(x)), {x, s.dy})};
}

Gradients sum_pool(Backward &b, const GradientSite &s) {
  uint32_t x = b.input(s.y, 0);
  return {b.write_as(s.y, ONESTEP_OP_SUM_POOL_GRAD, Dims(b.dims(x)), {s.dy})};
}

Gradients sum_pool_grad(Backward &b, const GradientSite &s) {
  uint32_t dy = b.input(s.y, 0);
  return {b.write_as(s.y, ONESTEP_OP_SUM_POOL, Dims(b.dims(dy)), {s.dy})};
}

// The sum of each row, repeated along it.
uint32_t row_sums(Backward &b, uint32_t x) {
  Dims dims = b.dims(x);
  return b.broadcast(b.sum(x, {static_cast<int64_t>(dims.size()) - 1}), dims);
}

// y (dy - sum(dy y))
Gradients softmax(Backward &b, const GradientSite &s) {
  return {b.mul(s.y, b.sub(s.dy, row_sums(b, b.mul(s.dy, s.y))))};
}

// dy - e^y sum(dy)
Gradients log_softmax(Backward &b, const GradientSite &s) {
  uint32_t sums = row_sums(b, s.dy);
  return {b.sub(s.dy, b.mul(b.unary(ONESTEP_OP_EXP, s.y), sums))};
}

Gradients cross_entropy(Backward &b, const GradientSite &s) {
  uint32_t logits = b.input(s.y, 0), labels = b.input(s.y, 1);
  uint32_t dx = b.write_as(s.y, ONESTEP_OP_CROSS_ENTROPY_GRAD, Dims(b.dims(logits)),
                           {logits, labels, s.dy});
  return {dx, kNone};
}

}  // namespace

GradientRule product_gradient(onestep_op op) {
  switch (op) {
    case ONESTEP_OP_MATMUL: return matmul;
    case ONESTEP_OP_CONV: return conv;
    case ONESTEP_OP_CONV_INPUT_GRAD: return conv_input_grad;
    case ONESTEP_OP_CONV_WEIGHT_GRAD: return conv_weight_grad;
    case ONESTEP_OP_MAX_POOL: return max_pool;
    case ONESTEP_OP_SUM_POOL: return sum_pool;
    case ONESTEP_OP_SUM_POOL_GRAD: return sum_pool_grad;
    default: return nullptr;
  }
}

GradientRule rows_gradient(onestep_op op) {
  switch (op) {
    case ONESTEP_OP_SOFTMAX: return softmax;
    case ONESTEP_OP_LOG_SOFTMAX: return log_softmax;
    case ONESTEP_OP_CROSS_ENTROPY: return cross_entropy;
    default: return nullptr;
  }
}

}  // namespace onestep
