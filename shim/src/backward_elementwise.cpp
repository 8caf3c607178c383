// The gradients of elementwise ops.

#include "backward.h"

namespace onestep {

namespace {

constexpr uint32_t kNone = ONESTEP_NO_VALUE;

uint32_t x_of(Backward &b, const GradientSite &s) { return b.input(s.y, 0); }

Gradients none(Backward &b, const GradientSite &s) {
  return Gradients(b.node(s.y).inputs.size(), kNone);
}

Gradients times(Backward &b, const GradientSite &s, uint32_t slope) { return {b.mul(s.dy, slope)}; }

Gradients neg(Backward &b, const GradientSite &s) { return {b.neg(s.dy)}; }
Gradients abs(Backward &b, const GradientSite &s) {
  return times(b, s, b.unary(ONESTEP_OP_SIGN, x_of(b, s)));
}
Gradients exp(Backward &b, const GradientSite &s) { return times(b, s, s.y); }
// Not `y + 1`, whose digits are gone where y is near -1.
Gradients expm1(Backward &b, const GradientSite &s) {
  return times(b, s, b.unary(ONESTEP_OP_EXP, x_of(b, s)));
}
Gradients log(Backward &b, const GradientSite &s) {
  return times(b, s, b.unary(ONESTEP_OP_RECIPROCAL, x_of(b, s)));
}
Gradients log1p(Backward &b, const GradientSite &s) {
  uint32_t x = x_of(b, s);
  return times(b, s, b.unary(ONESTEP_OP_RECIPROCAL, b.add(x, b.number(1, x))));
}
Gradients sqrt(Backward &b, const GradientSite &s) {
  return times(b, s, b.div(b.number(0.5, s.y), s.y));
}
Gradients rsqrt(Backward &b, const GradientSite &s) {
  return times(b, s, b.mul(b.div(s.y, x_of(b, s)), b.number(-0.5, s.y)));
}
Gradients reciprocal(Backward &b, const GradientSite &s) {
  return times(b, s, b.neg(b.mul(s.y, s.y)));
}
Gradients sin(Backward &b, const GradientSite &s) {
  return times(b, s, b.unary(ONESTEP_OP_COS, x_of(b, s)));
}
Gradients cos(Backward &b, const GradientSite &s) {
  return times(b, s, b.neg(b.unary(ONESTEP_OP_SIN, x_of(b, s))));
}
Gradients tanh(Backward &b, const GradientSite &s) {
  return times(b, s, b.sub(b.number(1, s.y), b.mul(s.y, s.y)));
}
Gradients sigmoid(Backward &b, const GradientSite &s) {
  return times(b, s, b.mul(s.y, b.sub(b.number(1, s.y), s.y)));
}
// 2 / sqrt(pi) e^(-x^2)
Gradients erf(Backward &b, const GradientSite &s) {
  uint32_t x = x_of(b, s);
  uint32_t bell = b.unary(ONESTEP_OP_EXP, b.neg(b.mul(x, x)));
  return times(b, s, b.mul(bell, b.number(1.12837916709551257390, x)));
}
// NaN is not 0 or less: the gradient goes through.
Gradients relu(Backward &b, const GradientSite &s) {
  uint32_t zeros = b.number(0, s.y);
  return {b.select(b.binary(ONESTEP_OP_LE, s.y, zeros), zeros, s.dy)};
}

Gradients add(Backward &, const GradientSite &s) { return {s.dy, s.dy}; }
Gradients sub(Backward &b, const GradientSite &s) { return {s.dy, b.neg(s.dy)}; }
Gradients mul(Backward &b, const GradientSite &s) {
  return {b.mul(s.dy, b.input(s.y, 1)), b.mul(s.dy, b.input(s.y, 0))};
}
Gradients div(Backward &b, const GradientSite &s) {
  uint32_t divisor = b.input(s.y, 1);
  uint32_t da = b.div(s.dy, divisor);
  return {da, b.neg(b.mul(s.dy, b.div(s.y, divisor)))};
}

// `dy` where the winner is larger, half of it where both are equal, else 0: chosen rather than
// multiplied, since 0 times an infinite gradient would be NaN.
uint32_t share(Backward &b, uint32_t dy, uint32_t winner, uint32_t loser) {
  uint32_t half = b.mul(dy, b.number(0.5, dy));
  uint32_t kept = b.select(b.binary(ONESTEP_OP_EQ, winner, loser), half, dy);
  return b.select(b.binary(ONESTEP_OP_LT, winner, loser), b.number(0, dy), kept);
}
Gradients max(Backward &b, const GradientSite &s) {
  uint32_t p = b.input(s.y, 0), q = b.input(s.y, 1);
  uint32_t dp = share(b, s.dy, p, q);
  return {dp, share(b, s.dy, q, p)};
}
Gradients min(Backward &b, const GradientSite &s) {
  uint32_t p = b.input(s.y, 0), q = b.input(s.y, 1);
  uint32_t dp = share(b, s.dy, q, p);
  return {dp, share(b, s.dy, p, q)};
}

// `q p^(q-1)`, which is 0 where q is 0, and `p^q ln p`, which is 0 where p is 0 and q is not negative:
// the power does not change there.
Gradients pow(Backward &b, const GradientSite &s) {
  uint32_t p = b.input(s.y, 0), q = b.input(s.y, 1);
  uint32_t zeros = b.number(0, p);
  uint32_t power = b.binary(ONESTEP_OP_POW, p, b.sub(q, b.number(1, q)));
  uint32_t dp = b.mul(s.dy, b.mul(q, power));
  dp = b.select(b.binary(ONESTEP_OP_EQ, q, zeros), zeros, dp);
  uint32_t dq = b.mul(s.dy, b.mul(s.y, b.unary(ONESTEP_OP_LOG, p)));
  uint32_t flat = b.mul(b.binary(ONESTEP_OP_EQ, p, zeros), b.binary(ONESTEP_OP_GE, q, zeros));
  return {dp, b.select(flat, zeros, dq)};
}

Gradients select(Backward &b, const GradientSite &s) {
  uint32_t condition = b.input(s.y, 0), zeros = b.number(0, s.dy);
  uint32_t da = b.select(condition, s.dy, zeros);
  return {kNone, da, b.select(condition, zeros, s.dy)};
}

bool is_integer(onestep_dtype dtype) { return dtype == ONESTEP_I32 || dtype == ONESTEP_U8; }

Gradients cast(Backward &b, const GradientSite &s) {
  onestep_dtype from = b.node(x_of(b, s)).dtype;
  if (is_integer(from) || is_integer(b.node(s.y).dtype)) return {kNone};
  uint32_t dx = b.write(ONESTEP_OP_CAST, b.dims(s.dy), {s.dy});
  b.last().dtype = from;
  return {dx};
}

}  // namespace

GradientRule elementwise_gradient(onestep_op op) {
  switch (op) {
    case ONESTEP_OP_NEG: return neg;
    case ONESTEP_OP_ABS: return abs;
    case ONESTEP_OP_EXP: return exp;
    case ONESTEP_OP_EXPM1: return expm1;
    case ONESTEP_OP_LOG: return log;
    case ONESTEP_OP_LOG1P: return log1p;
    case ONESTEP_OP_SQRT: return sqrt;
    case ONESTEP_OP_RSQRT: return rsqrt;
    case ONESTEP_OP_RECIPROCAL: return reciprocal;
    case ONESTEP_OP_SIN: return sin;
    case ONESTEP_OP_COS: return cos;
    case ONESTEP_OP_TANH: return tanh;
    case ONESTEP_OP_SIGMOID: return sigmoid;
    case ONESTEP_OP_ERF: return erf;
    case ONESTEP_OP_RELU: return relu;
    case ONESTEP_OP_ADD: return add;
    case ONESTEP_OP_SUB: return sub;
    case ONESTEP_OP_MUL: return mul;
    case ONESTEP_OP_DIV: return div;
    case ONESTEP_OP_MAX: return max;
    case ONESTEP_OP_MIN: return min;
    case ONESTEP_OP_POW: return pow;
    case ONESTEP_OP_SELECT: return select;
    case ONESTEP_OP_CAST: return cast;
    case ONESTEP_OP_SIGN:
    case ONESTEP_OP_FLOOR:
    case ONESTEP_OP_EQ:
    case ONESTEP_OP_NE:
    case ONESTEP_OP_LT:
    case ONESTEP_OP_LE:
    case ONESTEP_OP_GT:
    case ONESTEP_OP_GE:
    case ONESTEP_OP_ARGMAX: return none;
    default: return nullptr;
  }
}

}  // namespace onestep
