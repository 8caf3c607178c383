#include "check.h"

#include <cstdarg>
#include <cstdio>

#include "op_table.h"

namespace onestep {

Status NodeSite::bad(const char *format, ...) const {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return failure(ONESTEP_INVALID_ARGUMENT, "%s node %zu (%s): %s", graph, index, op, text);
}

Status NodeSite::mismatch(const char *wanted, const Node &got) const {
  return bad("wanted %s, got %s", wanted, type_text(got).c_str());
}

Status NodeCheck::same_type(const Node &a, const Node &b) const {
  if (a.dtype == b.dtype && a.dims == b.dims) return ok();
  return site.mismatch(type_text(a).c_str(), b);
}

Status NodeCheck::is_f32(const Node &of) const {
  return of.dtype == ONESTEP_F32 ? ok() : site.mismatch("f32", of);
}

Status NodeCheck::has_rank(const Node &of, size_t rank) const {
  if (of.dims.size() == rank) return ok();
  return site.bad("wanted rank %zu, got %s", rank, type_text(of).c_str());
}

Status NodeCheck::has_dims(const Dims &dims) const {
  if (node.dims == dims) return ok();
  Node wanted;
  wanted.dtype = node.dtype;
  wanted.dims = dims;
  return site.mismatch(type_text(wanted).c_str(), node);
}

Status NodeCheck::ints_within(size_t at, size_t count, int64_t least, int64_t most) const {
  for (size_t i = at; i < at + count; i++) {
    if (node.ints[i] >= least && node.ints[i] <= most) continue;
    return site.bad("attribute %zu: wanted %lld to %lld, got %lld", i,
                    static_cast<long long>(least), static_cast<long long>(most),
                    static_cast<long long>(node.ints[i]));
  }
  return ok();
}

Status check_node(const Graph &graph, size_t index, const Leaves &leaves) {
  const Node &node = graph.nodes[index];
  const NodeCheck check{graph, node, {graph.name, index, find_op(node.op)->name}};
  switch (node.op) {
    case ONESTEP_OP_FEED:
    case ONESTEP_OP_STATE:
    case ONESTEP_OP_SCALAR:
    case ONESTEP_OP_CONSTANT:
    case ONESTEP_OP_RANDOM_UNIFORM: return check_leaf(check, leaves);
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
    case ONESTEP_OP_RELU:
    case ONESTEP_OP_ADD:
    case ONESTEP_OP_SUB:
    case ONESTEP_OP_MUL:
    case ONESTEP_OP_DIV:
    case ONESTEP_OP_MAX:
    case ONESTEP_OP_MIN:
    case ONESTEP_OP_POW:
    case ONESTEP_OP_EQ:
    case ONESTEP_OP_NE:
    case ONESTEP_OP_LT:
    case ONESTEP_OP_LE:
    case ONESTEP_OP_GT:
    case ONESTEP_OP_GE:
    case ONESTEP_OP_SELECT:
    case ONESTEP_OP_CAST: return check_elementwise(check);
    case ONESTEP_OP_REDUCE_SUM:
    case ONESTEP_OP_REDUCE_MAX:
    case ONESTEP_OP_REDUCE_MIN:
    case ONESTEP_OP_ARGMAX: return check_reduction(check);
    case ONESTEP_OP_RESHAPE:
    case ONESTEP_OP_PERMUTE:
    case ONESTEP_OP_BROADCAST:
    case ONESTEP_OP_SLICE:
    case ONESTEP_OP_CONCAT:
    case ONESTEP_OP_PAD:
    case ONESTEP_OP_GATHER:
    case ONESTEP_OP_SCATTER_ADD: return check_movement(check);
    case ONESTEP_OP_MATMUL: return check_matmul(check);
    case ONESTEP_OP_CONV:
    case ONESTEP_OP_CONV_INPUT_GRAD:
    case ONESTEP_OP_CONV_WEIGHT_GRAD: return check_convolution(check);
    case ONESTEP_OP_MAX_POOL:
    case ONESTEP_OP_MAX_POOL_GRAD:
    case ONESTEP_OP_SUM_POOL:
    case ONESTEP_OP_SUM_POOL_GRAD: return check_pooling(check);
    case ONESTEP_OP_SOFTMAX:
    case ONESTEP_OP_LOG_SOFTMAX:
    case ONESTEP_OP_CROSS_ENTROPY:
    case ONESTEP_OP_CROSS_ENTROPY_GRAD: return check_rows(check);
    case ONESTEP_OP_NONE: break;
  }
  return check.site.bad("this op has no rule");
}

namespace {

// A window of a state's buffer.
Status check_state(const NodeCheck &check, const Leaves &leaves) {
  ONESTEP_TRY(check.is_f32(check.node));
  if (leaves.any) return ok();
  uint64_t buffer = leaves.state_elements[check.node.ints[0]];
  uint64_t size = static_cast<uint64_t>(elements(check.node.dims));
  if (size > buffer) {
    return check.site.bad("%s, but the state's buffer has room for %llu elements",
                          type_text(check.node).c_str(), static_cast<unsigned long long>(buffer));
  }
  return check.ints_within(1, 1, 0, static_cast<int64_t>(buffer - size));
}

}  // namespace

Status check_leaf(const NodeCheck &check, const Leaves &leaves) {
  const Node &node = check.node;
  auto index = [&](const char *what, uint64_t count) {
    if (leaves.any) return check.ints_within(0, 1, 0, INT64_MAX);
    if (node.ints[0] >= 0 && static_cast<uint64_t>(node.ints[0]) < count) return ok();
    return check.site.bad("%s %lld of %llu", what, static_cast<long long>(node.ints[0]),
                          static_cast<unsigned long long>(count));
  };
  switch (node.op) {
    case ONESTEP_OP_FEED: return index("feed", leaves.feeds);
    case ONESTEP_OP_STATE:
      ONESTEP_TRY(index("state", leaves.state_elements.size()));
      return check_state(check, leaves);
    case ONESTEP_OP_SCALAR:
      ONESTEP_TRY(check.is_f32(node));
      ONESTEP_TRY(check.has_dims({}));
      return index("scalar", leaves.scalars);
    case ONESTEP_OP_RANDOM_UNIFORM:
      ONESTEP_TRY(check.is_f32(node));
      return check.ints_within(0, 1, 0, UINT32_MAX);
    default: return ok();  // CONSTANT: its data was checked when it was read
  }
}

}  // namespace onestep
