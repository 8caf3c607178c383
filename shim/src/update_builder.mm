#include "update_builder.h"

#include <algorithm>

namespace onestep {

namespace {

bool is_old_value(const Node &node, const Update &update) {
  if (node.op != update.leaf || node.ints[0] != update.old_place.a) return false;
  return node.op == ONESTEP_OP_PARAMETER || node.ints[1] == update.old_place.b;
}

}  // namespace

std::vector<Update> updates_of(const ProgramDescription &program) {
  std::vector<Update> list;
  auto add = [&](uint32_t value, onestep_op leaf, Place old_place, Place new_place) {
    Update update{value, leaf, old_place, new_place};
    // A value that stays as it is needs no work.
    if (!is_old_value(program.update.nodes[value], update)) list.push_back(update);
  };
  for (uint32_t group = 0; group < program.groups.size(); group++) {
    const GroupDescription &g = program.groups[group];
    add(g.new_parameter, ONESTEP_OP_PARAMETER, {Source::Parameter, group},
        {Source::NewParameter, group});
    for (uint32_t kind = 0; kind < g.new_states.size(); kind++) {
      add(g.new_states[kind], ONESTEP_OP_OPTIMIZER_STATE, {Source::OptimizerState, group, kind},
          {Source::NewOptimizerState, group, kind});
    }
  }
  return list;
}

bool safe_in_place(const Graph &graph, const Update &update) {
  for (uint32_t i = update.value + 1; i < graph.nodes.size(); i++) {
    for (uint32_t input : graph.nodes[i].inputs) {
      if (is_old_value(graph.nodes[input], update)) return false;
    }
  }
  return true;
}

Status build_update(const ProgramDescription &program, const LeafContext &leaves,
                    std::unique_ptr<Executable> *out) {
  const Graph &graph = program.update;
  ExecutableBuilder builder;
  NodeEmitter emitter(builder, graph, leaves);
  std::vector<Update> updates = updates_of(program);
  std::vector<uint32_t> targets = program.update_reports;
  for (const Update &update : updates) targets.push_back(update.value);
  ONESTEP_TRY(emitter.emit(targets));
  if (!program.update_reports.empty()) {
    Tensors scalars;
    for (uint32_t report : program.update_reports) scalars.push_back(emitter.at(report));
    auto count = static_cast<int64_t>(scalars.size());
    builder.result({Source::Reports, 1}, join_vectors(builder.graph(), scalars), {count},
                   ONESTEP_F32);
  }
  for (const Update &update : updates) {
    const Node &node = graph.nodes[update.value];
    builder.result(update.new_place, emitter.at(update.value), node.dims, node.dtype);
  }
  if (!builder.has_results()) return ok();
  ONESTEP_TRY(builder.compile(*program.queue->device.get(), out));
  std::vector<bool> live = live_nodes(graph, targets);
  for (size_t i = 0; i < live.size(); i++) {
    if (live[i]) (*out)->flops += node_flops(graph, graph.nodes[i]);
  }
  return ok();
}

}  // namespace onestep
