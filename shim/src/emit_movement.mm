// Reductions, movement and indexing.

#include "emit.h"

namespace onestep {

namespace {

MPSGraphTensor *reduce(MPSGraph *g, onestep_op op, MPSGraphTensor *x,
                       const std::vector<int64_t> &list) {
  NSArray<NSNumber *> *axes = numbers(list);
  switch (op) {
    case ONESTEP_OP_REDUCE_SUM: return [g reductionSumWithTensor:x axes:axes name:nil];
    case ONESTEP_OP_REDUCE_MAX:
      return [g reductionMaximumPropagateNaNWithTensor:x axes:axes name:nil];
    case ONESTEP_OP_REDUCE_MIN:
      return [g reductionMinimumPropagateNaNWithTensor:x axes:axes name:nil];
    default: return nil;
  }
}

// Some systems' compilers end the process at reductions of more than four axes. Here each run of
// neighbouring axes is the middle one of three.
MPSGraphTensor *reduce_folded(MPSGraph *g, onestep_op op, MPSGraphTensor *x,
                              const std::vector<int64_t> &axes) {
  Dims dims = dims_of(x);
  for (size_t i = 0; i < axes.size();) {
    auto first = static_cast<size_t>(axes[i]), end = first;
    for (; i < axes.size() && static_cast<size_t>(axes[i]) == end; i++) end++;
    auto product = [&](size_t from, size_t to) {
      return elements(Dims(dims.begin() + static_cast<long>(from),
                           dims.begin() + static_cast<long>(to)));
    };
    Dims three = {product(0, first), product(first, end), product(end, dims.size())};
    x = reduce(g, op, reshaped(g, x, three), {1});
    for (size_t axis = first; axis < end; axis++) dims[axis] = 1;
  }
  return reshaped(g, x, dims);
}

}  // namespace

MPSGraphTensor *emit_reduction(MPSGraph *g, const Node &node, MPSGraphTensor *x) {
  if (node.op == ONESTEP_OP_ARGMAX) {
    // Where all of a row is NaN the platform says -1, and the engine 0.
    MPSGraphTensor *index = [g reductionArgMaximumWithTensor:x axis:node.ints[0] name:nil];
    return [g maximumWithPrimaryTensor:[g castTensor:index toType:MPSDataTypeInt32 name:nil]
                       secondaryTensor:[g constantWithScalar:0 dataType:MPSDataTypeInt32]
                                  name:nil];
  }
  std::vector<int64_t> axes(node.ints + 1, node.ints + 1 + node.ints[0]);
  if (axes.empty()) return x;
  return dims_of(x).size() > 4 ? reduce_folded(g, node.op, x, axes) : reduce(g, node.op, x, axes);
}

MPSGraphTensor *emit_movement(MPSGraph *g, const Graph &graph, const Node &node,
                              const Tensors &in) {
  size_t rank = graph.input(node, 0).dims.size();
  const int64_t *i = node.ints;
  auto list = [&](size_t at) { return numbers(std::vector<int64_t>(i + at, i + at + rank)); };
  switch (node.op) {
    case ONESTEP_OP_RESHAPE: return reshaped(g, in[0], node.dims);
    case ONESTEP_OP_BROADCAST: return broadcast_to(g, in[0], node.dims);
    case ONESTEP_OP_CONCAT: {
      NSMutableArray<MPSGraphTensor *> *parts = [NSMutableArray arrayWithCapacity:in.size()];
      for (MPSGraphTensor *part : in) [parts addObject:part];
      return [g concatTensors:parts dimension:i[0] name:nil];
    }
    default: break;
  }
  if (rank == 0) return in[0];  // the rest does nothing to a scalar
  switch (node.op) {
    case ONESTEP_OP_PERMUTE: return [g transposeTensor:in[0] permutation:list(0) name:nil];
    case ONESTEP_OP_SLICE:
      return [g sliceTensor:in[0] starts:list(0) ends:list(ONESTEP_MAX_RANK)
                    strides:numbers(std::vector<int64_t>(rank, 1)) name:nil];
    case ONESTEP_OP_PAD:
      return [g padTensor:in[0] withPaddingMode:MPSGraphPaddingModeConstant leftPadding:list(0)
             rightPadding:list(ONESTEP_MAX_RANK) constantValue:node.floats[0] name:nil];
    default: return nil;
  }
}

Indices bounded_indices(MPSGraph *g, MPSGraphTensor *indices, int64_t count) {
  auto constant = [&](double value) {
    return [g constantWithScalar:value dataType:MPSDataTypeInt32];
  };
  MPSGraphTensor *zero = constant(0), *last = constant(static_cast<double>(count - 1));
  MPSGraphTensor *low = [g greaterThanOrEqualToWithPrimaryTensor:indices secondaryTensor:zero
                                                            name:nil];
  MPSGraphTensor *high = [g lessThanOrEqualToWithPrimaryTensor:indices secondaryTensor:last
                                                          name:nil];
  MPSGraphTensor *raised = [g maximumWithPrimaryTensor:indices secondaryTensor:zero name:nil];
  return {[g logicalANDWithPrimaryTensor:low secondaryTensor:high name:nil],
          [g minimumWithPrimaryTensor:raised secondaryTensor:last name:nil]};
}

// A constant of NaN is not safe on every system; the root of -1 is no constant.
MPSGraphTensor *zero_or_nan(MPSGraph *g, MPSGraphTensor *valid) {
  MPSGraphTensor *one = [g castTensor:valid toType:MPSDataTypeFloat32 name:nil];
  return [g squareRootWithTensor:[g subtractionWithPrimaryTensor:one
                                                 secondaryTensor:scalar_constant(g, 1)
                                                            name:nil]
                            name:nil];
}

// The platform does not say what an index outside of the table does. Here a gathered row is NaN
// then, and a scattered one is dropped; the gradients follow from the selections.
MPSGraphTensor *emit_gather(MPSGraph *g, const Graph &graph, const Node &node, const Tensors &in) {
  bool scatter = node.op == ONESTEP_OP_SCATTER_ADD;
  const Dims &table = scatter ? node.dims : graph.input(node, 0).dims;
  const Dims &indices = graph.input(node, scatter ? 0 : 1).dims;
  int64_t count = elements(indices);
  Dims rows = {count};
  Dims mask = {count};
  for (size_t axis = 1; axis < table.size(); axis++) {
    rows.push_back(table[axis]);
    mask.push_back(1);
  }
  Indices flat = bounded_indices(g, reshaped(g, in[scatter ? 0 : 1], {count}), table[0]);
  MPSGraphTensor *valid = broadcast_to(g, reshaped(g, flat.valid, mask), rows);
  if (scatter) {
    MPSGraphTensor *filler = broadcast_to(g, scalar_constant(g, 0), rows);
    MPSGraphTensor *updates = [g selectWithPredicateTensor:valid
                                       truePredicateTensor:reshaped(g, in[1], rows)
                                      falsePredicateTensor:filler
                                                      name:nil];
    return [g scatterWithUpdatesTensor:updates indicesTensor:flat.clamped shape:shape_of(table)
                                  axis:0 mode:MPSGraphScatterModeAdd name:nil];
  }
  MPSGraphTensor *gathered = [g gatherWithUpdatesTensor:in[0] indicesTensor:flat.clamped axis:0
                                        batchDimensions:0 name:nil];
  MPSGraphTensor *filler = broadcast_to(g, reshaped(g, zero_or_nan(g, flat.valid), mask), rows);
  MPSGraphTensor *chosen = [g selectWithPredicateTensor:valid truePredicateTensor:gathered
                                   falsePredicateTensor:filler name:nil];
  return reshaped(g, chosen, node.dims);
}

}  // namespace onestep
