#include "graph.h"

#include "check.h"
#include "op_table.h"

namespace onestep {

int64_t elements(const Dims &dims) {
  int64_t product = 1;
  for (int64_t dim : dims) product *= dim;
  return product;
}

size_t dtype_bytes(onestep_dtype dtype) {
  switch (dtype) {
    case ONESTEP_F32:
    case ONESTEP_I32: return 4;
    case ONESTEP_F16:
    case ONESTEP_BF16: return 2;
    case ONESTEP_U8: return 1;
  }
  return 0;
}

const char *dtype_name(onestep_dtype dtype) {
  switch (dtype) {
    case ONESTEP_F32: return "f32";
    case ONESTEP_F16: return "f16";
    case ONESTEP_BF16: return "bf16";
    case ONESTEP_I32: return "i32";
    case ONESTEP_U8: return "u8";
  }
  return "an unknown dtype";
}

std::string type_text(const Node &node) {
  std::string text = dtype_name(node.dtype);
  text += " [";
  for (size_t i = 0; i < node.dims.size(); i++) {
    if (i) text += ", ";
    text += std::to_string(node.dims[i]);
  }
  return text + "]";
}

namespace {

// The shape of a node, whose bytes must fit in 63 bits.
Status read_dims(const onestep_node &from, const NodeSite &site, Node *to) {
  if (from.rank > ONESTEP_MAX_RANK) {
    return site.bad("at most %d axes, got %u", ONESTEP_MAX_RANK, from.rank);
  }
  int64_t bytes = static_cast<int64_t>(dtype_bytes(to->dtype));
  for (uint32_t axis = 0; axis < from.rank; axis++) {
    int64_t dim = from.dims[axis];
    if (dim < 1) {
      return site.bad("axis %u has %lld elements, but Metal has no empty tensors", axis,
                      static_cast<long long>(dim));
    }
    // Above these the platform ends the process or reads what is not there.
    if (dim > INT32_MAX) {
      return site.bad("axis %u has %lld elements, but Metal's axes have at most 2147483647; cut the "
                      "tensor, or use the cpu", axis, static_cast<long long>(dim));
    }
    constexpr int64_t kMostBytes = (1ll << 32) - 1;
    if (__builtin_mul_overflow(bytes, dim, &bytes) || bytes > kMostBytes) {
      return site.bad("a tensor of 4 GiB or more, which Metal's graphs do not hold; use smaller "
                      "batches or parameter groups, or the cpu");
    }
    to->dims.push_back(dim);
  }
  return ok();
}

Status read_inputs(const onestep_node &from, const OpInfo &op, const NodeSite &site, Node *to) {
  if (from.input_count < op.least_inputs || from.input_count > op.most_inputs) {
    return site.bad("%u to %u operands, got %u", op.least_inputs, op.most_inputs,
                    from.input_count);
  }
  if (from.input_count && !from.inputs) return site.bad("its list of operands is NULL");
  for (uint32_t i = 0; i < from.input_count; i++) {
    if (from.inputs[i] >= site.index) {
      return site.bad("operand %u is node %u, which does not come before it", i, from.inputs[i]);
    }
    to->inputs.push_back(from.inputs[i]);
  }
  return ok();
}

Status read_node(const onestep_node &from, size_t index, const char *graph, Node *to) {
  const OpInfo *op = find_op(from.op);
  NodeSite site{graph, index, op ? op->name : "?"};
  if (!op) return site.bad("there is no op with the code %u", from.op);
  if (from.dtype > ONESTEP_U8) return site.bad("there is no dtype with the code %u", from.dtype);
  to->op = static_cast<onestep_op>(from.op);
  to->dtype = static_cast<onestep_dtype>(from.dtype);
  ONESTEP_TRY(read_dims(from, site, to));
  ONESTEP_TRY(read_inputs(from, *op, site, to));
  for (int i = 0; i < ONESTEP_NODE_INTS; i++) to->ints[i] = from.ints[i];
  for (int i = 0; i < ONESTEP_NODE_FLOATS; i++) to->floats[i] = from.floats[i];
  if (to->op != ONESTEP_OP_CONSTANT) return ok();
  uint64_t bytes = static_cast<uint64_t>(elements(to->dims)) * dtype_bytes(to->dtype);
  if (!from.data || from.data_bytes != bytes) {
    return site.bad("%llu bytes of data, got %llu", static_cast<unsigned long long>(bytes),
                    static_cast<unsigned long long>(from.data ? from.data_bytes : 0));
  }
  const auto *data = static_cast<const uint8_t *>(from.data);
  to->data.assign(data, data + bytes);
  return ok();
}

}  // namespace

Status read_graph(const onestep_graph *description, const char *name, const Leaves &leaves,
                  Graph *out) {
  out->name = name;
  if (!description || (description->node_count && !description->nodes)) {
    return failure(ONESTEP_INVALID_ARGUMENT, "the %s graph is NULL", name);
  }
  // Indices of nodes have 32 bits and the largest is no node.
  if (description->node_count >= ONESTEP_NO_VALUE) {
    return failure(ONESTEP_INVALID_ARGUMENT, "the %s graph has too many nodes", name);
  }
  out->nodes.reserve(description->node_count);
  for (uint64_t i = 0; i < description->node_count; i++) {
    Node node;
    ONESTEP_TRY(read_node(description->nodes[i], i, name, &node));
    out->nodes.push_back(std::move(node));
    ONESTEP_TRY(check_node(*out, i, leaves));
  }
  return ok();
}

bool is_leaf(const Node &node) {
  switch (node.op) {
    case ONESTEP_OP_FEED:
    case ONESTEP_OP_STATE:
    case ONESTEP_OP_SCALAR:
    case ONESTEP_OP_CONSTANT:
    case ONESTEP_OP_RANDOM_UNIFORM: return true;
    default: return false;
  }
}

std::vector<bool> live_nodes(const Graph &graph, const std::vector<uint32_t> &targets) {
  std::vector<bool> live(graph.nodes.size());
  for (uint32_t target : targets) live[target] = true;
  for (size_t i = graph.nodes.size(); i-- > 0;) {
    if (!live[i]) continue;
    for (uint32_t input : graph.nodes[i].inputs) live[input] = true;
  }
  return live;
}

uint64_t node_flops(const Graph &graph, const Node &node) {
  uint64_t size = static_cast<uint64_t>(elements(node.dims));
  switch (node.op) {
    case ONESTEP_OP_MATMUL: {
      const Dims &a = graph.input(node, 0).dims;
      return 2 * size * static_cast<uint64_t>(a[a.size() - (node.ints[0] ? 2 : 1)]);
    }
    case ONESTEP_OP_CONV: {
      const Dims &w = graph.input(node, 1).dims;
      return 2 * size * static_cast<uint64_t>(w[1] * w[2] * w[3]);
    }
    case ONESTEP_OP_CONV_INPUT_GRAD: {
      const Dims &w = graph.input(node, 1).dims;
      uint64_t dy = static_cast<uint64_t>(elements(graph.input(node, 0).dims));
      return 2 * dy * static_cast<uint64_t>(w[1] * w[2] * w[3]);
    }
    case ONESTEP_OP_CONV_WEIGHT_GRAD: {
      const Dims &dy = graph.input(node, 1).dims;
      return 2 * size * static_cast<uint64_t>(dy[0] * dy[2] * dy[3]);
    }
    case ONESTEP_OP_MAX_POOL:
    case ONESTEP_OP_SUM_POOL: return size * static_cast<uint64_t>(node.ints[0] * node.ints[1]);
    default: return size;
  }
}

}  // namespace onestep
