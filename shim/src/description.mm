#include "description.h"

#include <algorithm>

namespace onestep {

std::vector<uint64_t> ProgramDescription::group_elements() const {
  std::vector<uint64_t> list;
  for (const GroupDescription &group : groups) list.push_back(group.elements);
  return list;
}

namespace {

Status check_list(const void *list, uint64_t count, const char *what) {
  if (count == 0 || list) return ok();
  return failure(ONESTEP_INVALID_ARGUMENT, "%s: %llu of them, but the list is NULL", what,
                 static_cast<unsigned long long>(count));
}

// A state or parameter buffer of some f32 elements.
Status check_f32_buffer(const onestep_buffer *buffer, uint64_t count, const char *what) {
  if (count > UINT64_MAX / 4) {
    return failure(ONESTEP_INVALID_ARGUMENT, "%s: too many elements", what);
  }
  return check_range(buffer, 0, count * 4, what);
}

Status read_group(const onestep_group &from, bool trains, GroupDescription *to) {
  if (from.elements == 0 || from.elements > INT64_MAX) {
    return failure(ONESTEP_INVALID_ARGUMENT, "a group has at least one element");
  }
  ONESTEP_TRY(check_f32_buffer(from.parameter, from.elements, "the parameters of a group"));
  to->parameter = Handle<onestep_buffer>(from.parameter);
  to->elements = from.elements;
  if (!trains) return ok();
  to->new_parameter = from.new_parameter;
  if (from.gradient) {
    ONESTEP_TRY(check_f32_buffer(from.gradient, from.elements, "the gradients of a group"));
    to->gradient = Handle<onestep_buffer>(from.gradient);
  }
  ONESTEP_TRY(check_list(from.states, from.state_count, "optimizer states"));
  ONESTEP_TRY(check_list(from.new_states, from.state_count, "new optimizer states"));
  for (uint64_t i = 0; i < from.state_count; i++) {
    ONESTEP_TRY(check_f32_buffer(from.states[i], from.elements, "an optimizer state"));
    to->states.emplace_back(from.states[i]);
    to->new_states.push_back(from.new_states[i]);
  }
  return ok();
}

Status read_buffers(const onestep_program_args &args, ProgramDescription *out) {
  ONESTEP_TRY(check_list(args.groups, args.group_count, "groups"));
  for (uint64_t i = 0; i < args.group_count; i++) {
    out->groups.emplace_back();
    ONESTEP_TRY(read_group(args.groups[i], out->trains(), &out->groups.back()));
  }
  ONESTEP_TRY(check_list(args.states, args.state_count, "states"));
  for (uint64_t i = 0; i < args.state_count; i++) {
    if (!args.states[i].buffer) {
      return failure(ONESTEP_INVALID_ARGUMENT, "state %llu: the buffer is NULL",
                     static_cast<unsigned long long>(i));
    }
    out->states.emplace_back();
    out->states.back().buffer = Handle<onestep_buffer>(args.states[i].buffer);
    if (out->trains()) out->states.back().new_value = args.states[i].new_value;
  }
  return ok();
}

Status read_graphs(const onestep_program_args &args, ProgramDescription *out) {
  Leaves leaves;
  leaves.feeds = args.feed_count;
  leaves.scalars = args.scalar_count;
  leaves.states = args.state_count;
  leaves.group_elements = out->group_elements();
  ONESTEP_TRY(read_graph(args.forward, "forward", leaves, &out->forward));
  if (!out->trains()) {
    if (!args.update) return ok();
    return failure(ONESTEP_INVALID_ARGUMENT, "a program that infers has no update graph");
  }
  leaves.update = true;
  for (const GroupDescription &group : out->groups) {
    leaves.group_states.push_back(group.states.size());
  }
  return read_graph(args.update, "update", leaves, &out->update);
}

// A value of a graph that is f32, with a shape if one is wanted.
Status check_value(const Graph &graph, uint32_t value, const Dims *dims, const char *what) {
  if (value >= graph.nodes.size()) {
    return failure(ONESTEP_INVALID_ARGUMENT, "%s: the %s graph has no node %u", what, graph.name,
                   value);
  }
  const Node &node = graph.nodes[value];
  if (node.dtype == ONESTEP_F32 && (!dims || node.dims == *dims)) return ok();
  Node wanted;
  if (dims) wanted.dims = *dims;
  return failure(ONESTEP_INVALID_ARGUMENT, "%s: wanted %s, got %s", what,
                 dims ? type_text(wanted).c_str() : "f32", type_text(node).c_str());
}

Status check_update(const ProgramDescription &program) {
  for (const GroupDescription &group : program.groups) {
    Dims dims = {static_cast<int64_t>(group.elements)};
    ONESTEP_TRY(check_value(program.update, group.new_parameter, &dims, "new parameters"));
    for (uint32_t value : group.new_states) {
      ONESTEP_TRY(check_value(program.update, value, &dims, "a new optimizer state"));
    }
  }
  return ok();
}

// Every STATE leaf and new value of a state fits the state's buffer.
Status check_states(const ProgramDescription &program) {
  for (const Node &node : program.forward.nodes) {
    if (node.op != ONESTEP_OP_STATE) continue;
    const StateDescription &state = program.states[node.ints[0]];
    ONESTEP_TRY(check_f32_buffer(state.buffer.get(), elements(node.dims), "a state"));
  }
  for (const StateDescription &state : program.states) {
    if (state.new_value == ONESTEP_NO_VALUE) continue;
    ONESTEP_TRY(check_value(program.forward, state.new_value, nullptr, "a new state"));
    int64_t size = elements(program.forward.nodes[state.new_value].dims);
    ONESTEP_TRY(check_f32_buffer(state.buffer.get(), size, "a new state"));
  }
  return ok();
}

Status read_reports(const onestep_program_args &args, ProgramDescription *out) {
  const Dims scalar;
  ONESTEP_TRY(check_list(args.reports, args.report_count, "reports"));
  ONESTEP_TRY(check_list(args.update_reports, args.update_report_count, "reports of the update"));
  bool has_loss = args.loss != ONESTEP_NO_VALUE;
  uint64_t own = has_loss ? 1 : 0;
  if (args.report_count > ONESTEP_MAX_REPORTS || args.update_report_count > ONESTEP_MAX_REPORTS ||
      own + args.report_count + args.update_report_count > ONESTEP_MAX_REPORTS) {
    return failure(ONESTEP_INVALID_ARGUMENT, "at most %d reports with the loss",
                   ONESTEP_MAX_REPORTS);
  }
  if (out->trains() && !has_loss) return failure(ONESTEP_INVALID_ARGUMENT, "no loss to minimise");
  out->loss = args.loss;
  if (has_loss) out->reports.push_back(args.loss);
  out->reports.insert(out->reports.end(), args.reports, args.reports + args.report_count);
  for (uint32_t value : out->reports) {
    ONESTEP_TRY(check_value(out->forward, value, &scalar, "the loss or a report"));
  }
  if (!out->trains()) return ok();
  out->update_reports.assign(args.update_reports, args.update_reports + args.update_report_count);
  for (uint32_t value : out->update_reports) {
    ONESTEP_TRY(check_value(out->update, value, &scalar, "a report of the update"));
  }
  return ok();
}

Status read_outputs(const onestep_program_args &args, ProgramDescription *out) {
  ONESTEP_TRY(check_list(args.outputs, args.output_count, "outputs"));
  for (uint64_t i = 0; i < args.output_count; i++) {
    const onestep_output &from = args.outputs[i];
    if (from.value >= out->forward.nodes.size()) {
      return failure(ONESTEP_INVALID_ARGUMENT, "output %llu: the forward graph has no node %u",
                     static_cast<unsigned long long>(i), from.value);
    }
    const Node &node = out->forward.nodes[from.value];
    OutputDescription output;
    output.value = from.value;
    output.bytes = static_cast<uint64_t>(elements(node.dims)) * dtype_bytes(node.dtype);
    if (from.buffer) ONESTEP_TRY(check_range(from.buffer, 0, output.bytes, "an output"));
    output.buffer = Handle<onestep_buffer>(from.buffer);
    out->outputs.push_back(std::move(output));
  }
  return ok();
}

void measure_feeds(uint64_t count, ProgramDescription *out) {
  out->feed_bytes.assign(count, 0);
  for (const Node &node : out->forward.nodes) {
    if (node.op != ONESTEP_OP_FEED) continue;
    uint64_t bytes = static_cast<uint64_t>(elements(node.dims)) * dtype_bytes(node.dtype);
    uint64_t &most = out->feed_bytes[node.ints[0]];
    most = std::max(most, bytes);
  }
}

Status check_system(const ProgramDescription &program) {
  if (supports_bf16()) return ok();
  for (const Graph *graph : {&program.forward, &program.update}) {
    for (const Node &node : graph->nodes) {
      if (node.dtype != ONESTEP_BF16) continue;
      return failure(ONESTEP_UNSUPPORTED, "bf16 needs macOS 14");
    }
  }
  return ok();
}

Status read_options(const onestep_program_args &args, ProgramDescription *out) {
  if (args.mode > ONESTEP_INFER || args.convolution_path > ONESTEP_CONVOLUTION_HYBRID ||
      args.update_binding > ONESTEP_UPDATE_COPY) {
    return failure(ONESTEP_INVALID_ARGUMENT,
                   "no such mode (%u), convolution path (%u) or update binding (%u)", args.mode,
                   args.convolution_path, args.update_binding);
  }
  // A bound on the lists that are made from these counts.
  constexpr uint64_t kMost = 1 << 20;
  if (args.feed_count > kMost || args.scalar_count > kMost) {
    return failure(ONESTEP_INVALID_ARGUMENT, "too many feeds or scalars");
  }
  out->mode = static_cast<onestep_mode>(args.mode);
  out->convolution_path = static_cast<onestep_convolution_path>(args.convolution_path);
  out->update_binding = static_cast<onestep_update_binding>(args.update_binding);
  out->flops_per_command_buffer = args.flops_per_command_buffer;
  out->scalar_count = args.scalar_count;
  return ok();
}

}  // namespace

Status read_program(const onestep_program_args &args, ProgramDescription *out) {
  if (!args.queue) return failure(ONESTEP_INVALID_ARGUMENT, "the queue is NULL");
  out->queue = Handle<onestep_queue>(args.queue);
  ONESTEP_TRY(read_options(args, out));
  ONESTEP_TRY(read_buffers(args, out));
  ONESTEP_TRY(read_graphs(args, out));
  ONESTEP_TRY(check_system(*out));
  if (out->trains()) ONESTEP_TRY(check_update(*out));
  ONESTEP_TRY(check_states(*out));
  ONESTEP_TRY(read_reports(args, out));
  ONESTEP_TRY(read_outputs(args, out));
  measure_feeds(args.feed_count, out);
  return ok();
}

}  // namespace onestep
