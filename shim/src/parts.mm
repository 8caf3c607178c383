#include "parts.h"

namespace onestep {

std::vector<uint32_t> targets_of(const ProgramDescription &program) {
  std::vector<uint32_t> targets = program.reports;
  for (const OutputDescription &output : program.outputs) targets.push_back(output.value);
  for (const StateDescription &state : program.states) {
    if (state.new_value != ONESTEP_NO_VALUE) targets.push_back(state.new_value);
  }
  return targets;
}

namespace {

bool is_view(const Node &node) {
  return node.op == ONESTEP_OP_RESHAPE || node.op == ONESTEP_OP_BROADCAST ||
         node.op == ONESTEP_OP_SLICE || node.op == ONESTEP_OP_PERMUTE;
}

// Random numbers are leaves, but dear ones.
bool is_made_anew(const Node &node) {
  return is_view(node) || (is_leaf(node) && node.op != ONESTEP_OP_RANDOM_UNIFORM);
}

class Cutter {
 public:
  Cutter(const ProgramDescription &program, Parts *parts) : program_(program), parts_(*parts) {
    parts_.part_of.assign(program.graph.nodes.size(), kNoPart);
    parts_.list.emplace_back();
  }

  void take(uint32_t index) {
    const Node &node = program_.graph.nodes[index];
    if (is_made_anew(node)) return;
    auto outside = parts_.outside.find(index);
    uint64_t flops = node_flops(program_.graph, node);
    if (outside != parts_.outside.end()) return take_outside(index, outside->second, flops);
    uint64_t limit = program_.flops_per_command_buffer;
    if (limit && !part().nodes.empty() && part().flops + flops > limit) parts_.list.emplace_back();
    part().nodes.push_back(index);
    part().flops += flops;
    parts_.part_of[index] = parts_.last();
  }

 private:
  Part &part() { return parts_.list.back(); }

  // Both gradients of a convolution are one stage, where the first of them stands.
  void take_outside(uint32_t index, Place place, uint64_t flops) {
    bool backward = place.source != Source::HybridOutput;
    const OutsideConvolution &convolution = parts_.convolutions[place.a];
    uint32_t other = index == convolution.input_gradient ? convolution.weight_gradient
                                                         : convolution.input_gradient;
    bool second = backward && other != ONESTEP_NO_VALUE && parts_.part_of[other] != kNoPart;
    if (second) {
      parts_.part_of[index] = parts_.part_of[other];
      parts_.list[parts_.part_of[other]].convolution_flops += flops;
      return;
    }
    parts_.part_of[index] = parts_.last();
    part().convolution = place.a;
    part().backward = backward;
    part().convolution_flops = flops;
    // The last part has no convolution: it is the one that gives back what has no other home.
    parts_.list.emplace_back();
  }

  const ProgramDescription &program_;
  Parts &parts_;
};

// The value that a view shows, itself for another value.
uint32_t source_of(const Graph &graph, uint32_t value) {
  while (is_view(graph.nodes[value])) value = graph.nodes[value].inputs[0];
  return value;
}

}  // namespace

Parts cut_into_parts(const ProgramDescription &program) {
  Parts parts;
  std::vector<bool> live = live_nodes(program.graph, targets_of(program));
  if (program.convolution_path == ONESTEP_CONVOLUTION_HYBRID) {
    parts.convolutions = outside_convolutions(program.graph, live);
  }
  for (uint32_t i = 0; i < parts.convolutions.size(); i++) {
    const OutsideConvolution &convolution = parts.convolutions[i];
    parts.outside[convolution.forward] = {Source::HybridOutput, i};
    if (convolution.input_gradient != ONESTEP_NO_VALUE) {
      parts.outside[convolution.input_gradient] = {Source::HybridInputGradient, i};
    }
    if (convolution.weight_gradient != ONESTEP_NO_VALUE) {
      parts.outside[convolution.weight_gradient] = {Source::HybridWeightGradient, i};
    }
  }
  Cutter cutter(program, &parts);
  for (uint32_t i = 0; i < live.size(); i++) {
    if (live[i]) cutter.take(i);
  }
  return parts;
}

std::vector<uint32_t> wanted_of(const ProgramDescription &program, const Parts &parts,
                                uint32_t part) {
  const Part &own = parts.list[part];
  std::vector<uint32_t> wanted = own.nodes;
  if (own.convolution != kNoConvolution) {
    const OutsideConvolution &convolution = parts.convolutions[own.convolution];
    const std::vector<uint32_t> &forward = program.graph.nodes[convolution.forward].inputs;
    if (own.backward) {
      wanted.push_back(convolution.output_gradient(program.graph));
    } else {
      wanted.insert(wanted.end(), forward.begin(), forward.end());
    }
  }
  if (part == parts.last()) {
    wanted.insert(wanted.end(), program.reports.begin(), program.reports.end());
  }
  for (uint32_t target : targets_of(program)) {
    if (parts.home_of(target) == part) wanted.push_back(target);
  }
  return wanted;
}

std::vector<bool> crossing(const ProgramDescription &program, const Parts &parts) {
  std::vector<bool> crosses(program.graph.nodes.size());
  for (uint32_t part = 0; part <= parts.last(); part++) {
    auto take = [&](uint32_t value) {
      uint32_t source = source_of(program.graph, value);
      if (parts.is_taken(source, part)) crosses[source] = true;
    };
    for (uint32_t value : wanted_of(program, parts, part)) {
      take(value);
      if (parts.is_taken(value, part)) continue;
      for (uint32_t input : program.graph.nodes[value].inputs) take(input);
    }
  }
  return crosses;
}

}  // namespace onestep
