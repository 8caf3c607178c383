#include "differentiate.h"

#include <algorithm>

#include "backward.h"

namespace onestep {

namespace {

Status check_f32(const Graph &graph, uint32_t value, bool scalar, const char *what) {
  if (value >= graph.nodes.size()) {
    return failure(ONESTEP_INVALID_ARGUMENT, "%s: the graph has no node %u", what, value);
  }
  const Node &node = graph.nodes[value];
  if (node.dtype == ONESTEP_F32 && (!scalar || node.dims.empty())) return ok();
  return failure(ONESTEP_INVALID_ARGUMENT, "%s: wanted %s, got %s", what, scalar ? "f32 []" : "f32",
                 type_text(node).c_str());
}

onestep_node description_of(const Node &node) {
  onestep_node out = {};
  out.op = node.op;
  out.dtype = node.dtype;
  out.rank = static_cast<uint32_t>(node.dims.size());
  out.input_count = static_cast<uint32_t>(node.inputs.size());
  std::copy(node.dims.begin(), node.dims.end(), out.dims);
  out.inputs = node.inputs.data();
  std::copy(std::begin(node.ints), std::end(node.ints), out.ints);
  std::copy(std::begin(node.floats), std::end(node.floats), out.floats);
  out.data = node.data.empty() ? nullptr : node.data.data();
  out.data_bytes = node.data.size();
  return out;
}

}  // namespace

Status differentiate(const onestep_differentiate_args &args, Handle<onestep_derivative> *out) {
  auto derivative = Handle<onestep_derivative>::adopt(new onestep_derivative);
  Graph &graph = derivative->graph;
  Leaves leaves;
  leaves.any = true;
  ONESTEP_TRY(read_graph(args.graph, "step", leaves, &graph));
  ONESTEP_TRY(check_f32(graph, args.loss, true, "the loss"));
  if (args.value_count && (!args.values || !args.gradients)) {
    return failure(ONESTEP_INVALID_ARGUMENT, "the list of values or of gradients is NULL");
  }
  std::vector<uint32_t> values(args.values, args.values + args.value_count), gradients;
  for (uint32_t value : values) {
    ONESTEP_TRY(check_f32(graph, value, false, "what the loss is differentiated in"));
  }
  ONESTEP_TRY(append_gradients(&graph, args.loss, values, &gradients));
  std::copy(gradients.begin(), gradients.end(), args.gradients);
  for (uint64_t i = args.graph->node_count; i < graph.nodes.size(); i++) {
    derivative->nodes.push_back(description_of(graph.nodes[i]));
  }
  *out = std::move(derivative);
  return ok();
}

}  // namespace onestep
