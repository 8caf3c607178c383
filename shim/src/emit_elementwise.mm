// Elementwise ops.

#include "emit.h"

namespace onestep {

namespace {

MPSGraphTensor *add(MPSGraph *g, MPSGraphTensor *a, MPSGraphTensor *b) {
  return [g additionWithPrimaryTensor:a secondaryTensor:b name:nil];
}
MPSGraphTensor *subtract(MPSGraph *g, MPSGraphTensor *a, MPSGraphTensor *b) {
  return [g subtractionWithPrimaryTensor:a secondaryTensor:b name:nil];
}
MPSGraphTensor *multiply(MPSGraph *g, MPSGraphTensor *a, MPSGraphTensor *b) {
  return [g multiplicationWithPrimaryTensor:a secondaryTensor:b name:nil];
}
MPSGraphTensor *divide(MPSGraph *g, MPSGraphTensor *a, MPSGraphTensor *b) {
  return [g divisionWithPrimaryTensor:a secondaryTensor:b name:nil];
}
MPSGraphTensor *choose(MPSGraph *g, MPSGraphTensor *predicate, MPSGraphTensor *a,
                       MPSGraphTensor *b) {
  return [g selectWithPredicateTensor:predicate truePredicateTensor:a falsePredicateTensor:b
                                 name:nil];
}

// Where |x| is below a bound, and x there and 0 elsewhere.
struct Small {
  MPSGraphTensor *where, *x;
};
Small small_part(MPSGraph *g, MPSGraphTensor *x, double bound) {
  MPSGraphTensor *where = [g lessThanWithPrimaryTensor:[g absoluteWithTensor:x name:nil]
                                       secondaryTensor:scalar_constant(g, bound)
                                                  name:nil];
  MPSGraphTensor *zero = broadcast_to(g, scalar_constant(g, 0), dims_of(x));
  return {where, choose(g, where, x, zero)};
}

// e^x - 1. Near 0 by tanh: with t = tanh(x/2) it is 2t/(1 - t), without cancellation.
MPSGraphTensor *expm1(MPSGraph *g, MPSGraphTensor *x) {
  MPSGraphTensor *one = scalar_constant(g, 1);
  Small small = small_part(g, x, 1);
  MPSGraphTensor *t = [g tanhWithTensor:multiply(g, small.x, scalar_constant(g, 0.5)) name:nil];
  MPSGraphTensor *near = divide(g, add(g, t, t), subtract(g, one, t));
  MPSGraphTensor *far = subtract(g, [g exponentWithTensor:x name:nil], one);
  return choose(g, small.where, near, far);
}

// ln(1 + x). Near 0 as 2 artanh(z), z = x/(2 + x), by its series: for |x| < 1/4 the first term left
// out is below 1e-10 of the sum.
MPSGraphTensor *log1p(MPSGraph *g, MPSGraphTensor *x) {
  Small small = small_part(g, x, 0.25);
  MPSGraphTensor *z = divide(g, small.x, add(g, small.x, scalar_constant(g, 2)));
  MPSGraphTensor *square = multiply(g, z, z);
  MPSGraphTensor *series = scalar_constant(g, 1.0 / 9);
  for (int k = 7; k >= 1; k -= 2) {
    series = add(g, multiply(g, series, square), scalar_constant(g, 1.0 / k));
  }
  MPSGraphTensor *near = multiply(g, multiply(g, z, series), scalar_constant(g, 2));
  MPSGraphTensor *far = [g logarithmWithTensor:add(g, x, scalar_constant(g, 1)) name:nil];
  return choose(g, small.where, near, far);
}

}  // namespace

MPSGraphTensor *emit_unary(MPSGraph *g, onestep_op op, MPSGraphTensor *x) {
  switch (op) {
    case ONESTEP_OP_NEG: return [g negativeWithTensor:x name:nil];
    case ONESTEP_OP_ABS: return [g absoluteWithTensor:x name:nil];
    case ONESTEP_OP_SIGN: return [g signWithTensor:x name:nil];
    case ONESTEP_OP_FLOOR: return [g floorWithTensor:x name:nil];
    case ONESTEP_OP_EXP: return [g exponentWithTensor:x name:nil];
    case ONESTEP_OP_EXPM1: return expm1(g, x);
    case ONESTEP_OP_LOG: return [g logarithmWithTensor:x name:nil];
    case ONESTEP_OP_LOG1P: return log1p(g, x);
    case ONESTEP_OP_SQRT: return [g squareRootWithTensor:x name:nil];
    case ONESTEP_OP_RSQRT: return [g reverseSquareRootWithTensor:x name:nil];
    case ONESTEP_OP_RECIPROCAL: return divide(g, scalar_constant(g, 1), x);
    case ONESTEP_OP_SIN: return [g sinWithTensor:x name:nil];
    case ONESTEP_OP_COS: return [g cosWithTensor:x name:nil];
    case ONESTEP_OP_TANH: return [g tanhWithTensor:x name:nil];
    case ONESTEP_OP_SIGMOID: return [g sigmoidWithTensor:x name:nil];
    case ONESTEP_OP_ERF: return [g erfWithTensor:x name:nil];
    case ONESTEP_OP_RELU: return [g reLUWithTensor:x name:nil];
    default: return nil;
  }
}

MPSGraphTensor *emit_binary(MPSGraph *g, onestep_op op, MPSGraphTensor *a, MPSGraphTensor *b) {
  switch (op) {
    case ONESTEP_OP_ADD: return add(g, a, b);
    case ONESTEP_OP_SUB: return subtract(g, a, b);
    case ONESTEP_OP_MUL: return multiply(g, a, b);
    case ONESTEP_OP_DIV: return divide(g, a, b);
    case ONESTEP_OP_MAX:
      return [g maximumWithNaNPropagationWithPrimaryTensor:a secondaryTensor:b name:nil];
    case ONESTEP_OP_MIN:
      return [g minimumWithNaNPropagationWithPrimaryTensor:a secondaryTensor:b name:nil];
    case ONESTEP_OP_POW: return [g powerWithPrimaryTensor:a secondaryTensor:b name:nil];
    default: return nil;
  }
}

MPSGraphTensor *emit_compare(MPSGraph *g, onestep_op op, MPSGraphTensor *a, MPSGraphTensor *b) {
  MPSGraphTensor *holds = nil;
  switch (op) {
    case ONESTEP_OP_EQ: holds = [g equalWithPrimaryTensor:a secondaryTensor:b name:nil]; break;
    case ONESTEP_OP_NE: holds = [g notEqualWithPrimaryTensor:a secondaryTensor:b name:nil]; break;
    case ONESTEP_OP_LT: holds = [g lessThanWithPrimaryTensor:a secondaryTensor:b name:nil]; break;
    case ONESTEP_OP_LE:
      holds = [g lessThanOrEqualToWithPrimaryTensor:a secondaryTensor:b name:nil];
      break;
    case ONESTEP_OP_GT:
      holds = [g greaterThanWithPrimaryTensor:a secondaryTensor:b name:nil];
      break;
    case ONESTEP_OP_GE:
      holds = [g greaterThanOrEqualToWithPrimaryTensor:a secondaryTensor:b name:nil];
      break;
    default: return nil;
  }
  return [g castTensor:holds toType:MPSDataTypeFloat32 name:nil];
}

MPSGraphTensor *emit_select(MPSGraph *g, MPSGraphTensor *condition, MPSGraphTensor *a,
                            MPSGraphTensor *b) {
  MPSGraphTensor *predicate = [g notEqualWithPrimaryTensor:condition
                                           secondaryTensor:scalar_constant(g, 0)
                                                      name:nil];
  return choose(g, predicate, a, b);
}

}  // namespace onestep
