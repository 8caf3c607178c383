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
  MPSGraphTensor *tensor = emit_leaf(node);
  if (!tensor) tensor = emit_node(builder_.graph(), graph_, node, inputs);
  return conform(index, tensor);
}

// The platform sees shapes in its own way: a scalar is [1], an axis may stay where the node drops
// it. A tensor of another size is a defect, and better found here than by the platform's compiler.
Status NodeEmitter::conform(uint32_t index, MPSGraphTensor *tensor) {
  const Node &node = graph_.nodes[index];
  const char *name = find_op(node.op)->name;
  if (!tensor) return failure(ONESTEP_COMPILE_FAILED, "MPSGraph gave no tensor for %s", name);
  Dims wanted = node.dims.empty() ? Dims{1} : node.dims;
  Dims got = dims_of(tensor);
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
  auto a = static_cast<uint32_t>(node.ints[0]), b = static_cast<uint32_t>(node.ints[1]);
  switch (node.op) {
    case ONESTEP_OP_FEED: return builder_.input({Source::Feed, a}, node.dims, node.dtype);
    case ONESTEP_OP_STATE: return builder_.input({Source::State, a}, node.dims, node.dtype);
    case ONESTEP_OP_GRADIENT: return builder_.input({Source::Gradient, a}, node.dims, node.dtype);
    case ONESTEP_OP_OPTIMIZER_STATE:
      return builder_.input({Source::OptimizerState, a, b}, node.dims, node.dtype);
    case ONESTEP_OP_PARAMETER: return cut_parameter(node);
    case ONESTEP_OP_RANDOM_UNIFORM: return random(node);
    case ONESTEP_OP_SCALAR: {
      auto count = static_cast<int64_t>(leaves_.scalars);
      MPSGraphTensor *all = builder_.input({Source::Scalars}, {count}, ONESTEP_F32);
      return count == 1 ? all : slice_vector(builder_.graph(), all, node.ints[0], 1);
    }
    default: return nil;
  }
}

MPSGraphTensor *NodeEmitter::cut_parameter(const Node &node) {
  auto group = static_cast<uint32_t>(node.ints[0]);
  auto total = static_cast<int64_t>(leaves_.group_elements[group]);
  MPSGraphTensor *flat = builder_.input({Source::Parameter, group}, {total}, ONESTEP_F32);
  int64_t size = elements(node.dims);
  if (leaves_.update || (size == total && node.dims.size() == 1)) return flat;
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
  return [[builder_.graph() randomUniformTensorWithShape:shape_of(node.dims) stateTensor:state
                                                    name:nil] objectAtIndex:0];
}

}  // namespace onestep
