#include "node_emitter.h"

#include <algorithm>

#include "op_table.h"

namespace onestep {

MPSGraphTensor *slice_vector(MPSGraph *g, MPSGraphTensor *x, int64_t start, int64_t length) {
  return [g sliceTensor:x starts:numbers({start}) ends:numbers({start + length})
                strides:numbers({1}) name:nil];
}

MPSGraphTensor *join_vectors(MPSGraph *g, const Tensors &parts) {
  if (parts.size() == 1) return parts[0];
  NSMutableArray<MPSGraphTensor *> *list = [NSMutableArray arrayWithCapacity:parts.size()];
  for (MPSGraphTensor *part : parts) [list addObject:part];
  return [g concatTensors:list dimension:0 name:nil];
}

LeafContext leaf_context(const Graph &graph, uint64_t scalars) {
  LeafContext leaves;
  leaves.scalars = scalars;
  for (const Node &node : graph.nodes) {
    if (node.op == ONESTEP_OP_STATE) {
      auto state = static_cast<size_t>(node.ints[0]);
      if (leaves.state_elements.size() <= state) leaves.state_elements.resize(state + 1);
      int64_t &most = leaves.state_elements[state];
      most = std::max(most, node.ints[1] + elements(node.dims));
    }
    if (node.op != ONESTEP_OP_RANDOM_UNIFORM) continue;
    auto stream = static_cast<uint32_t>(node.ints[0]);
    auto &streams = leaves.streams;
    if (std::find(streams.begin(), streams.end(), stream) == streams.end()) {
      streams.push_back(stream);
    }
  }
  return leaves;
}

std::vector<bool> NodeEmitter::missing(const std::vector<uint32_t> &nodes) const {
  std::vector<bool> wanted(graph_.nodes.size());
  for (uint32_t node : nodes) wanted[node] = true;
  for (size_t i = wanted.size(); i-- > 0;) {
    if (tensors_[i]) wanted[i] = false;
    if (!wanted[i] || is_outside_(static_cast<uint32_t>(i))) continue;
    for (uint32_t input : graph_.nodes[i].inputs) wanted[input] = true;
  }
  return wanted;
}

Status NodeEmitter::emit(const std::vector<uint32_t> &nodes) {
  std::vector<bool> wanted = missing(nodes);
  for (uint32_t i = 0; i < wanted.size(); i++) {
    if (wanted[i]) ONESTEP_TRY(emit_one(i));
  }
  return ok();
}

Status NodeEmitter::emit_one(uint32_t index) {
  if (is_outside_(index)) return conform(index, make_outside_(index));
  const Node &node = graph_.nodes[index];
  Tensors inputs;
  for (uint32_t input : node.inputs) inputs.push_back(tensors_[input]);
  spare_broadcasts(node, &inputs);
  MPSGraphTensor *tensor = emit_leaf(node);
  if (!tensor) tensor = emit_node(builder_.graph(), graph_, node, inputs);
  return conform(index, tensor);
}

// An operand that is repeated for an elementwise op is handed over as it was, with axes of 1: the
// platform repeats it by itself, and more cheaply. One operand must have all of the shape.
void NodeEmitter::spare_broadcasts(const Node &node, Tensors *inputs) {
  bool binary = node.op >= ONESTEP_OP_ADD && node.op <= ONESTEP_OP_GE;
  if (!binary || node.dims.empty()) return;
  bool full = false;
  for (size_t i = node.inputs.size(); i-- > 0;) {
    const Node &operand = graph_.input(node, i);
    MPSGraphTensor *source =
        operand.op == ONESTEP_OP_BROADCAST ? tensors_[operand.inputs[0]] : nil;
    if (!source || (i == 0 && !full)) {
      full = true;
      continue;
    }
    Dims dims = graph_.input(operand, 0).dims;
    while (dims.size() < node.dims.size()) dims.insert(dims.begin(), 1);
    (*inputs)[i] = dims_of(source) == dims ? source : reshaped(builder_.graph(), source, dims);
  }
}

// The platform sees shapes in its own way: a scalar is [1], an axis may stay where the node drops
// it. A tensor of another size is a defect, and better found here than by the platform's compiler.
Status NodeEmitter::conform(uint32_t index, MPSGraphTensor *tensor) {
  const Node &node = graph_.nodes[index];
  const char *name = find_op(node.op)->name;
  if (!tensor) return failure(ONESTEP_COMPILE_FAILED, "MPSGraph gave no tensor for %s", name);
  Dims wanted = node.dims.empty() ? Dims{1} : node.dims;
  // A tensor without a shape is taken for what it should be.
  Dims got = [tensor shape] ? dims_of(tensor) : wanted;
  if (elements(got) != elements(wanted) || [tensor dataType] != data_type(node.dtype)) {
    return failure(ONESTEP_COMPILE_FAILED,
                   "%s node %u (%s): MPSGraph made %lld elements of type %#x, wanted %s",
                   graph_.name, index, name, static_cast<long long>(elements(got)),
                   static_cast<unsigned>([tensor dataType]), type_text(node).c_str());
  }
  tensors_[index] = got == wanted ? tensor : reshaped(builder_.graph(), tensor, wanted);
  return ok();
}

MPSGraphTensor *NodeEmitter::emit_leaf(const Node &node) {
  auto a = static_cast<uint32_t>(node.ints[0]);
  switch (node.op) {
    case ONESTEP_OP_FEED: return builder_.input({Source::Feed, a}, node.dims, node.dtype);
    case ONESTEP_OP_STATE: return cut_state(node);
    case ONESTEP_OP_RANDOM_UNIFORM: return random(node);
    case ONESTEP_OP_SCALAR: {
      auto count = static_cast<int64_t>(leaves_.scalars);
      MPSGraphTensor *all = builder_.input({Source::Scalars}, {count}, ONESTEP_F32);
      return count == 1 ? all : slice_vector(builder_.graph(), all, node.ints[0], 1);
    }
    default: return nil;
  }
}

MPSGraphTensor *NodeEmitter::cut_state(const Node &node) {
  auto state = static_cast<uint32_t>(node.ints[0]);
  int64_t total = leaves_.state_elements[state];
  MPSGraphTensor *flat = builder_.input({Source::State, state}, {total}, ONESTEP_F32);
  int64_t size = elements(node.dims);
  if (size == total && node.dims.size() == 1) return flat;
  if (size != total) flat = slice_vector(builder_.graph(), flat, node.ints[1], size);
  return reshaped(builder_.graph(), flat, node.dims);
}

MPSGraphTensor *NodeEmitter::random(const Node &node) {
  const std::vector<uint32_t> &streams = leaves_.streams;
  auto stream = static_cast<uint32_t>(node.ints[0]);
  auto at = std::find(streams.begin(), streams.end(), stream) - streams.begin();
  auto words = kPhiloxWords * static_cast<int64_t>(streams.size());
  MPSGraphTensor *state = builder_.input({Source::Random}, {words}, ONESTEP_I32);
  if (streams.size() > 1) {
    state = slice_vector(builder_.graph(), state, at * kPhiloxWords, kPhiloxWords);
  }
  // In one dimension: masks of five and more repeat numbers on some systems.
  MPSGraphTensor *drawn =
      [[builder_.graph() randomUniformTensorWithShape:shape_of({elements(node.dims)})
                                          stateTensor:state
                                                 name:nil] objectAtIndex:0];
  return reshaped(builder_.graph(), drawn, node.dims);
}

}  // namespace onestep
