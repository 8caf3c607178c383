// Softmax and cross-entropy over the last axis.

#include "emit.h"

namespace onestep {

namespace {

// The last axis as the platform counts it; the first and only one of a scalar's stand-in.
NSInteger last_axis(MPSGraphTensor *x) { return static_cast<NSInteger>([[x shape] count]) - 1; }

// x - max - ln sum e^(x - max)
MPSGraphTensor *log_softmax(MPSGraph *g, MPSGraphTensor *x) {
  NSInteger axis = last_axis(x);
  MPSGraphTensor *max = [g reductionMaximumWithTensor:x axis:axis name:nil];
  MPSGraphTensor *centred = [g subtractionWithPrimaryTensor:x secondaryTensor:max name:nil];
  MPSGraphTensor *sum = [g reductionSumWithTensor:[g exponentWithTensor:centred name:nil] axis:axis
                                             name:nil];
  return [g subtractionWithPrimaryTensor:centred
                         secondaryTensor:[g logarithmWithTensor:sum name:nil]
                                    name:nil];
}

// The labels of rows of `classes` logits: where they are right, and 1 at each label.
struct Targets {
  MPSGraphTensor *valid;   // f32 [n]: 1, or NaN for a label that is no class
  MPSGraphTensor *onehot;  // f32 [n, classes]
};

Targets targets_of(MPSGraph *g, MPSGraphTensor *labels, int64_t rows, int64_t classes) {
  Indices bounded = bounded_indices(g, labels, classes);
  MPSGraphTensor *one = broadcast_to(g, scalar_constant(g, 1), {rows});
  return {[g additionWithPrimaryTensor:one secondaryTensor:zero_or_nan(g, bounded.valid) name:nil],
          [g oneHotWithIndicesTensor:bounded.clamped depth:static_cast<NSUInteger>(classes)
                            dataType:MPSDataTypeFloat32 name:nil]};
}

MPSGraphTensor *times(MPSGraph *g, MPSGraphTensor *a, MPSGraphTensor *b) {
  return [g multiplicationWithPrimaryTensor:a secondaryTensor:b name:nil];
}

// -(1 - e) p_label - e/c sum_j p_j with p = log_softmax(x). A product with `valid` makes
// a row with a wrong label NaN.
MPSGraphTensor *cross_entropy(MPSGraph *g, const Dims &dims, double smoothing, const Tensors &in) {
  int64_t rows = dims[0], classes = dims[1];
  MPSGraphTensor *p = log_softmax(g, in[0]);
  Targets targets = targets_of(g, in[1], rows, classes);
  // A selection and not a product: the logit of another class may be -infinity.
  MPSGraphTensor *zero = broadcast_to(g, scalar_constant(g, 0), dims);
  MPSGraphTensor *hit = emit_select(g, targets.onehot, p, zero);
  MPSGraphTensor *loss = times(g, [g reductionSumWithTensor:hit axis:1 name:nil],
                               scalar_constant(g, -(1 - smoothing)));
  if (smoothing != 0) {
    MPSGraphTensor *spread = times(g, [g reductionSumWithTensor:p axis:1 name:nil],
                                   scalar_constant(g, -smoothing / static_cast<double>(classes)));
    loss = [g additionWithPrimaryTensor:loss secondaryTensor:spread name:nil];
  }
  return times(g, reshaped(g, loss, {rows}), targets.valid);
}

// (softmax(x) - (1 - e) onehot - e/c) dy
MPSGraphTensor *cross_entropy_grad(MPSGraph *g, const Dims &dims, double smoothing,
                                   const Tensors &in) {
  int64_t rows = dims[0], classes = dims[1];
  Targets targets = targets_of(g, in[1], rows, classes);
  MPSGraphTensor *softmax = [g softMaxWithTensor:in[0] axis:1 name:nil];
  MPSGraphTensor *hit = times(g, targets.onehot, scalar_constant(g, 1 - smoothing));
  MPSGraphTensor *slope = [g subtractionWithPrimaryTensor:softmax secondaryTensor:hit name:nil];
  MPSGraphTensor *share = scalar_constant(g, smoothing / static_cast<double>(classes));
  slope = [g subtractionWithPrimaryTensor:slope secondaryTensor:share name:nil];
  MPSGraphTensor *scale = reshaped(g, times(g, in[2], targets.valid), {rows, 1});
  return times(g, slope, scale);
}

}  // namespace

MPSGraphTensor *emit_rows(MPSGraph *g, const Graph &graph, const Node &node, const Tensors &in) {
  const Dims &dims = graph.input(node, 0).dims;
  switch (node.op) {
    case ONESTEP_OP_SOFTMAX: return [g softMaxWithTensor:in[0] axis:last_axis(in[0]) name:nil];
    case ONESTEP_OP_LOG_SOFTMAX: return log_softmax(g, in[0]);
    case ONESTEP_OP_CROSS_ENTROPY: return cross_entropy(g, dims, node.floats[0], in);
    default: return cross_entropy_grad(g, dims, node.floats[0], in);
  }
}

}  // namespace onestep
