#include "parts.h"

#include <algorithm>

namespace onestep {

bool is_leaf(const Node &node) {
  switch (node.op) {
    case ONESTEP_OP_FEED:
    case ONESTEP_OP_PARAMETER:
    case ONESTEP_OP_STATE:
    case ONESTEP_OP_SCALAR:
    case ONESTEP_OP_CONSTANT:
    case ONESTEP_OP_GRADIENT:
    case ONESTEP_OP_OPTIMIZER_STATE:
    case ONESTEP_OP_RANDOM_UNIFORM: return true;
    default: return false;
  }
}

bool passes_gradient(const Node &node) {
  if (node.dtype == ONESTEP_I32 || node.dtype == ONESTEP_U8) return false;
  switch (node.op) {
    case ONESTEP_OP_SIGN:
    case ONESTEP_OP_FLOOR:
    case ONESTEP_OP_EQ:
    case ONESTEP_OP_NE:
    case ONESTEP_OP_LT:
    case ONESTEP_OP_LE:
    case ONESTEP_OP_GT:
    case ONESTEP_OP_GE: return false;
    default: return true;
  }
}

namespace {

std::vector<bool> active_nodes(const ProgramDescription &program) {
  const std::vector<Node> &nodes = program.forward.nodes;
  std::vector<bool> learned(nodes.size()), reached(nodes.size());
  for (size_t i = 0; i < nodes.size(); i++) {
    if (nodes[i].op == ONESTEP_OP_PARAMETER) learned[i] = true;
    if (!passes_gradient(nodes[i])) continue;
    for (uint32_t input : nodes[i].inputs) learned[i] = learned[i] || learned[input];
  }
  reached[program.loss] = true;
  for (size_t i = nodes.size(); i-- > 0;) {
    if (!reached[i] || !passes_gradient(nodes[i])) continue;
    for (uint32_t input : nodes[i].inputs) reached[input] = true;
  }
  for (size_t i = 0; i < nodes.size(); i++) reached[i] = reached[i] && learned[i];
  return reached;
}

// Everything that the program gives back.
std::vector<uint32_t> targets_of(const ProgramDescription &program) {
  std::vector<uint32_t> targets = program.reports;
  for (const OutputDescription &output : program.outputs) targets.push_back(output.value);
  for (const StateDescription &state : program.states) {
    if (state.new_value != ONESTEP_NO_VALUE) targets.push_back(state.new_value);
  }
  return targets;
}

// The work of a part in a step: forward, and for training twice as much again backward.
uint64_t step_flops(const ProgramDescription &program, uint64_t forward) {
  return program.trains() ? 3 * forward : forward;
}

class Cutter {
 public:
  Cutter(const ProgramDescription &program, const std::vector<bool> &hybrid)
      : program_(program), hybrid_(hybrid) {
    parts_.part_of.assign(program.forward.nodes.size(), kNoPart);
    parts_.list.emplace_back();
  }

  void take(uint32_t index) {
    const Node &node = program_.forward.nodes[index];
    uint64_t flops = node_flops(program_.forward, node);
    uint64_t limit = program_.flops_per_command_buffer;
    Part *part = &parts_.list.back();
    bool hybrid = hybrid_[index];
    bool full = limit && !part->nodes.empty() && step_flops(program_, part->flops + flops) > limit;
    if (full || hybrid || part->hybrid) {
      if (!part->nodes.empty()) parts_.list.emplace_back();
      part = &parts_.list.back();
      part->hybrid = hybrid;
    }
    part->nodes.push_back(index);
    part->flops += flops;
    parts_.part_of[index] = static_cast<uint32_t>(parts_.list.size()) - 1;
  }

  // The last part takes what is reported, which a convolution cannot.
  Parts finish() {
    if (parts_.list.back().hybrid) parts_.list.emplace_back();
    return std::move(parts_);
  }

 private:
  const ProgramDescription &program_;
  const std::vector<bool> &hybrid_;
  Parts parts_;
};

}  // namespace

Parts cut_into_parts(const ProgramDescription &program, const std::vector<bool> &hybrid) {
  std::vector<bool> live = live_nodes(program.forward, targets_of(program));
  Cutter cutter(program, hybrid);
  for (uint32_t i = 0; i < live.size(); i++) {
    if (live[i] && !is_leaf(program.forward.nodes[i])) cutter.take(i);
  }
  Parts parts = cutter.finish();
  if (program.trains()) {
    parts.active = active_nodes(program);
    parts.loss_part = parts.part_of[program.loss];
  } else {
    parts.active.assign(program.forward.nodes.size(), false);
  }
  return parts;
}

std::vector<uint32_t> taken_by(const Graph &graph, const Parts &parts, uint32_t part) {
  std::vector<uint32_t> taken;
  for (uint32_t index : parts.list[part].nodes) {
    for (uint32_t input : graph.nodes[index].inputs) {
      uint32_t from = parts.part_of[input];
      bool known = std::find(taken.begin(), taken.end(), input) != taken.end();
      if (from != kNoPart && from != part && !known) taken.push_back(input);
    }
  }
  return taken;
}

namespace {

void add_once(std::vector<uint32_t> *list, uint32_t part) {
  if (list->empty() || list->back() != part) list->push_back(part);
}

}  // namespace

std::vector<uint32_t> takers_of(const ProgramDescription &program, const Parts &parts,
                                uint32_t value) {
  uint32_t own = parts.part_of[value];
  std::vector<uint32_t> takers;
  for (uint32_t part = own + 1; part < parts.list.size(); part++) {
    std::vector<uint32_t> taken = taken_by(program.forward, parts, part);
    if (std::find(taken.begin(), taken.end(), value) != taken.end()) add_once(&takers, part);
  }
  const std::vector<uint32_t> &reports = program.reports;
  bool reported = std::find(reports.begin(), reports.end(), value) != reports.end();
  if (reported && own != parts.last()) add_once(&takers, parts.last());
  return takers;
}

std::vector<uint32_t> gradient_takers_of(const Graph &graph, const Parts &parts, uint32_t value) {
  std::vector<uint32_t> takers;
  if (!parts.active[value]) return takers;
  for (uint32_t part = parts.part_of[value] + 1; part < parts.list.size(); part++) {
    for (uint32_t index : parts.list[part].nodes) {
      const std::vector<uint32_t> &inputs = graph.nodes[index].inputs;
      bool uses = std::find(inputs.begin(), inputs.end(), value) != inputs.end();
      if (uses && parts.active[index]) add_once(&takers, part);
    }
  }
  return takers;
}

}  // namespace onestep
