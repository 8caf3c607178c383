// Ops of a graph as tensors of an MPSGraph. The graph is checked, so nothing here can fail but the
// platform itself. A rank of 0 is a shape of [1] there.
#pragma once

#import <MetalPerformanceShadersGraph/MetalPerformanceShadersGraph.h>

#include <vector>

#include "graph.h"

namespace onestep {

using Tensors = std::vector<MPSGraphTensor *>;

MPSDataType data_type(onestep_dtype dtype);
MPSShape *shape_of(const Dims &dims);
NSArray<NSNumber *> *numbers(const std::vector<int64_t> &values);
// The shape that the platform inferred.
Dims dims_of(MPSGraphTensor *tensor);

// One node, given its operands. Leaves are made elsewhere.
MPSGraphTensor *emit_node(MPSGraph *g, const Graph &graph, const Node &node, const Tensors &in);

// By family.
MPSGraphTensor *emit_constant(MPSGraph *g, const Node &node);
MPSGraphTensor *emit_unary(MPSGraph *g, onestep_op op, MPSGraphTensor *x);
MPSGraphTensor *emit_binary(MPSGraph *g, onestep_op op, MPSGraphTensor *a, MPSGraphTensor *b);
// 1 or 0 in f32.
MPSGraphTensor *emit_compare(MPSGraph *g, onestep_op op, MPSGraphTensor *a, MPSGraphTensor *b);
MPSGraphTensor *emit_select(MPSGraph *g, MPSGraphTensor *condition, MPSGraphTensor *a,
                            MPSGraphTensor *b);
MPSGraphTensor *emit_reduction(MPSGraph *g, const Node &node, MPSGraphTensor *x);
MPSGraphTensor *emit_movement(MPSGraph *g, const Graph &graph, const Node &node, const Tensors &in);
MPSGraphTensor *emit_gather(MPSGraph *g, const Graph &graph, const Node &node, const Tensors &in);
MPSGraphTensor *emit_matmul(MPSGraph *g, const Graph &graph, const Node &node, const Tensors &in);
MPSGraphTensor *emit_convolution(MPSGraph *g, const Graph &graph, const Node &node,
                                 const Tensors &in);
MPSGraphTensor *emit_pooling(MPSGraph *g, const Node &node, const Tensors &in);
MPSGraphTensor *emit_rows(MPSGraph *g, const Graph &graph, const Node &node, const Tensors &in);

// What several families are made of.
MPSGraphTensor *scalar_constant(MPSGraph *g, double value);
MPSGraphTensor *reshaped(MPSGraph *g, MPSGraphTensor *x, const Dims &dims);
MPSGraphTensor *broadcast_to(MPSGraph *g, MPSGraphTensor *x, const Dims &dims);
// Labels or indices in i32: whether each lies in [0, count), as a predicate, and each brought
// into it.
struct Indices {
  MPSGraphTensor *valid, *clamped;
};
Indices bounded_indices(MPSGraph *g, MPSGraphTensor *indices, int64_t count);
// 0 where a predicate holds, else NaN.
MPSGraphTensor *zero_or_nan(MPSGraph *g, MPSGraphTensor *valid);

}  // namespace onestep
