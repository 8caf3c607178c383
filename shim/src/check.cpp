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
    case ONESTEP_OP_PARAMETER:
    case ONESTEP_OP_STATE:
    case ONESTEP_OP_SCALAR:
    case ONESTEP_OP_CONSTANT:
    case ONESTEP_OP_GRADIENT:
    case ONESTEP_OP_OPTIMIZER_STATE:
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

Status check_leaf(const NodeCheck &check, const Leaves &leaves) {
  const Node &node = check.node;
  auto index = [&](const char *what, size_t at, uint64_t count) {
    if (node.ints[at] >= 0 && static_cast<uint64_t>(node.ints[at]) < count) return ok();
    return check.site.bad("%s %lld of %llu", what, static_cast<long long>(node.ints[at]),
                          static_cast<unsigned long long>(count));
  };
  // The whole flat buffer of a group, as the update graph sees it.
  auto whole = [&]() -> Status {
    ONESTEP_TRY(index("group", 0, leaves.group_elements.size()));
    ONESTEP_TRY(check.is_f32(node));
    return check.has_dims({static_cast<int64_t>(leaves.group_elements[node.ints[0]])});
  };
  bool forward_only = node.op == ONESTEP_OP_FEED || node.op == ONESTEP_OP_STATE ||
                      node.op == ONESTEP_OP_RANDOM_UNIFORM;
  bool update_only = node.op == ONESTEP_OP_GRADIENT || node.op == ONESTEP_OP_OPTIMIZER_STATE;
  if (leaves.update ? forward_only : update_only) {
    return check.site.bad("this leaf has no meaning in the %s graph", check.graph.name);
  }
  switch (node.op) {
    case ONESTEP_OP_FEED: return index("feed", 0, leaves.feeds);
    case ONESTEP_OP_STATE:
      ONESTEP_TRY(check.is_f32(node));
      return index("state", 0, leaves.states);
    case ONESTEP_OP_SCALAR:
      ONESTEP_TRY(check.is_f32(node));
      ONESTEP_TRY(check.has_dims({}));
      return index("scalar", 0, leaves.scalars);
    case ONESTEP_OP_GRADIENT: return whole();
    case ONESTEP_OP_OPTIMIZER_STATE:
      ONESTEP_TRY(whole());
      return index("optimizer state", 1, leaves.group_states[node.ints[0]]);
    case ONESTEP_OP_PARAMETER: {
      if (leaves.update) return whole();
      ONESTEP_TRY(index("group", 0, leaves.group_elements.size()));
      ONESTEP_TRY(check.is_f32(node));
      uint64_t group = leaves.group_elements[node.ints[0]];
      uint64_t size = static_cast<uint64_t>(elements(node.dims));
      if (size > group) return check.site.mismatch("no more elements than the group has", node);
      return index("first element", 1, group - size + 1);
    }
    case ONESTEP_OP_RANDOM_UNIFORM:
      ONESTEP_TRY(check.is_f32(node));
      return check.ints_within(0, 1, 0, UINT32_MAX);
    default: return ok();  // CONSTANT: its data was checked when it was read
  }
}

}  // namespace onestep
