// Reductions, movement and indexing.

#include "emit.h"

namespace onestep {

MPSGraphTensor *emit_reduction(MPSGraph *g, const Node &node, MPSGraphTensor *x) {
  if (node.op == ONESTEP_OP_ARGMAX) {
    MPSGraphTensor *index = [g reductionArgMaximumWithTensor:x axis:node.ints[0] name:nil];
    return [g castTensor:index toType:MPSDataTypeInt32 name:nil];
  }
  std::vector<int64_t> list(node.ints + 1, node.ints + 1 + node.ints[0]);
  if (list.empty()) return x;
  NSArray<NSNumber *> *axes = numbers(list);
  switch (node.op) {
    case ONESTEP_OP_REDUCE_SUM: return [g reductionSumWithTensor:x axes:axes name:nil];
    case ONESTEP_OP_REDUCE_MAX:
      return [g reductionMaximumPropagateNaNWithTensor:x axes:axes name:nil];
    case ONESTEP_OP_REDUCE_MIN:
      return [g reductionMinimumPropagateNaNWithTensor:x axes:axes name:nil];
    default: return nil;
  }
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
  MPSGraphTensor *filler = broadcast_to(g, scalar_constant(g, scatter ? 0 : NAN), rows);
  if (scatter) {
    MPSGraphTensor *updates = [g selectWithPredicateTensor:valid
                                       truePredicateTensor:reshaped(g, in[1], rows)
                                      falsePredicateTensor:filler
                                                      name:nil];
    return [g scatterWithUpdatesTensor:updates indicesTensor:flat.clamped shape:shape_of(table)
                                  axis:0 mode:MPSGraphScatterModeAdd name:nil];
  }
  MPSGraphTensor *gathered = [g gatherWithUpdatesTensor:in[0] indicesTensor:flat.clamped axis:0
                                        batchDimensions:0 name:nil];
  MPSGraphTensor *chosen = [g selectWithPredicateTensor:valid truePredicateTensor:gathered
                                   falsePredicateTensor:filler name:nil];
  return reshaped(g, chosen, node.dims);
}

}  // namespace onestep
