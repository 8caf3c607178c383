#include "emit.h"

namespace onestep {

MPSDataType data_type(onestep_dtype dtype) {
  switch (dtype) {
    case ONESTEP_F32: return MPSDataTypeFloat32;
    case ONESTEP_F16: return MPSDataTypeFloat16;
    case ONESTEP_BF16:
      if (@available(macOS 14.0, *)) return MPSDataTypeBFloat16;
      return MPSDataTypeInvalid;  // a program with bf16 was refused on such a system
    case ONESTEP_I32: return MPSDataTypeInt32;
    case ONESTEP_U8: return MPSDataTypeUInt8;
  }
  return MPSDataTypeInvalid;
}

NSArray<NSNumber *> *numbers(const std::vector<int64_t> &values) {
  NSMutableArray<NSNumber *> *array = [NSMutableArray arrayWithCapacity:values.size()];
  for (int64_t value : values) [array addObject:[NSNumber numberWithLongLong:value]];
  return array;
}

MPSShape *shape_of(const Dims &dims) { return numbers(dims.empty() ? Dims{1} : dims); }

Dims dims_of(MPSGraphTensor *tensor) {
  Dims dims;
  for (NSNumber *dim in [tensor shape]) dims.push_back([dim longLongValue]);
  return dims;
}

MPSGraphTensor *scalar_constant(MPSGraph *g, double value) {
  return [g constantWithScalar:value dataType:MPSDataTypeFloat32];
}

MPSGraphTensor *reshaped(MPSGraph *g, MPSGraphTensor *x, const Dims &dims) {
  return [g reshapeTensor:x withShape:shape_of(dims) name:nil];
}

MPSGraphTensor *broadcast_to(MPSGraph *g, MPSGraphTensor *x, const Dims &dims) {
  Dims from = dims_of(x), to = dims.empty() ? Dims{1} : dims;
  if (from == to) return x;
  // Missing axes are given explicitly, so that only sizes change.
  while (from.size() < to.size()) from.insert(from.begin(), 1);
  return [g broadcastTensor:reshaped(g, x, from) toShape:shape_of(to) name:nil];
}

MPSGraphTensor *emit_constant(MPSGraph *g, const Node &node) {
  NSData *data = [NSData dataWithBytes:node.data.data() length:node.data.size()];
  return [g constantWithData:data shape:shape_of(node.dims) dataType:data_type(node.dtype)];
}

MPSGraphTensor *emit_node(MPSGraph *g, const Graph &graph, const Node &node, const Tensors &in) {
  switch (node.op) {
    case ONESTEP_OP_CONSTANT: return emit_constant(g, node);
    case ONESTEP_OP_NEG:
    case ONESTEP_OP_ABS:
    case ONESTEP_OP_SIGN:
    case ONESTEP_OP_FLOOR:
    case ONESTEP_OP_EXP:
    case ONESTEP_OP_EXPM1:
    case ONESTEP_OP_LOG:
    case ONESTEP_OP_LOG1P:
    case ONESTEP_OP_SQRT:
    case ONESTEP_OP_RSQRT:
    case ONESTEP_OP_RECIPROCAL:
    case ONESTEP_OP_SIN:
    case ONESTEP_OP_COS:
    case ONESTEP_OP_TANH:
    case ONESTEP_OP_SIGMOID:
    case ONESTEP_OP_ERF:
    case ONESTEP_OP_RELU: return emit_unary(g, node.op, in[0]);
    case ONESTEP_OP_ADD:
    case ONESTEP_OP_SUB:
    case ONESTEP_OP_MUL:
    case ONESTEP_OP_DIV:
    case ONESTEP_OP_MAX:
    case ONESTEP_OP_MIN:
    case ONESTEP_OP_POW: return emit_binary(g, node.op, in[0], in[1]);
    case ONESTEP_OP_EQ:
    case ONESTEP_OP_NE:
    case ONESTEP_OP_LT:
    case ONESTEP_OP_LE:
    case ONESTEP_OP_GT:
    case ONESTEP_OP_GE: return emit_compare(g, node.op, in[0], in[1]);
    case ONESTEP_OP_SELECT: return emit_select(g, in[0], in[1], in[2]);
    case ONESTEP_OP_CAST: return [g castTensor:in[0] toType:data_type(node.dtype) name:nil];
    case ONESTEP_OP_REDUCE_SUM:
    case ONESTEP_OP_REDUCE_MAX:
    case ONESTEP_OP_REDUCE_MIN:
    case ONESTEP_OP_ARGMAX: return emit_reduction(g, node, in[0]);
    case ONESTEP_OP_RESHAPE:
    case ONESTEP_OP_PERMUTE:
    case ONESTEP_OP_BROADCAST:
    case ONESTEP_OP_SLICE:
    case ONESTEP_OP_CONCAT:
    case ONESTEP_OP_PAD: return emit_movement(g, graph, node, in);
    case ONESTEP_OP_GATHER:
    case ONESTEP_OP_SCATTER_ADD: return emit_gather(g, graph, node, in);
    case ONESTEP_OP_MATMUL: return emit_matmul(g, graph, node, in);
    case ONESTEP_OP_CONV:
    case ONESTEP_OP_CONV_INPUT_GRAD:
    case ONESTEP_OP_CONV_WEIGHT_GRAD: return emit_convolution(g, graph, node, in);
    case ONESTEP_OP_MAX_POOL:
    case ONESTEP_OP_MAX_POOL_GRAD:
    case ONESTEP_OP_SUM_POOL:
    case ONESTEP_OP_SUM_POOL_GRAD: return emit_pooling(g, node, in);
    case ONESTEP_OP_SOFTMAX:
    case ONESTEP_OP_LOG_SOFTMAX:
    case ONESTEP_OP_CROSS_ENTROPY:
    case ONESTEP_OP_CROSS_ENTROPY_GRAD: return emit_rows(g, graph, node, in);
    case ONESTEP_OP_FEED:
    case ONESTEP_OP_STATE:
    case ONESTEP_OP_SCALAR:
    case ONESTEP_OP_RANDOM_UNIFORM:
    case ONESTEP_OP_NONE: return nil;
  }
  return nil;
}

}  // namespace onestep
