#include "description.h"

#include <algorithm>

namespace onestep {

namespace {

Status check_list(const void *list, uint64_t count, const char *what) {
  if (count == 0 || list) return ok();
  return failure(ONESTEP_INVALID_ARGUMENT, "%s: %llu of them, but the list is NULL", what,
                 static_cast<unsigned long long>(count));
}

Status read_states(const onestep_program_args &args, ProgramDescription *out) {
  ONESTEP_TRY(check_list(args.states, args.state_count, "states"));
  for (uint64_t i = 0; i < args.state_count; i++) {
    const onestep_state &from = args.states[i];
    auto number = static_cast<unsigned long long>(i);
    if (!from.buffer) {
      return failure(ONESTEP_INVALID_ARGUMENT, "state %llu: the buffer is NULL", number);
    }
    if (from.new_value != ONESTEP_NO_VALUE && !out->trains()) {
      return failure(ONESTEP_INVALID_ARGUMENT,
                     "state %llu: a program that infers changes no state; compile it with "
                     "ONESTEP_TRAIN",
                     number);
    }
    out->states.push_back({Handle<onestep_buffer>(from.buffer), from.new_value});
  }
  return ok();
}

Status read_step(const onestep_program_args &args, ProgramDescription *out) {
  Leaves leaves;
  leaves.feeds = args.feed_count;
  leaves.scalars = args.scalar_count;
  for (const StateDescription &state : out->states) {
    leaves.state_elements.push_back(state.buffer->bytes / 4);
  }
  return read_graph(args.graph, "step", leaves, &out->graph);
}

// A value of the graph that is f32, with a shape if one is wanted.
Status check_value(const Graph &graph, uint32_t value, const Dims *dims, const char *what) {
  if (value >= graph.nodes.size()) {
    return failure(ONESTEP_INVALID_ARGUMENT, "%s: the graph has no node %u", what, value);
  }
  const Node &node = graph.nodes[value];
  if (node.dtype == ONESTEP_F32 && (!dims || node.dims == *dims)) return ok();
  Node wanted;
  if (dims) wanted.dims = *dims;
  return failure(ONESTEP_INVALID_ARGUMENT, "%s: wanted %s, got %s", what,
                 dims ? type_text(wanted).c_str() : "f32", type_text(node).c_str());
}

// Every new value of a state fits the state's buffer.
Status check_new_states(const ProgramDescription &program) {
  for (const StateDescription &state : program.states) {
    if (state.new_value == ONESTEP_NO_VALUE) continue;
    ONESTEP_TRY(check_value(program.graph, state.new_value, nullptr, "a new state"));
    auto size = static_cast<uint64_t>(elements(program.graph.nodes[state.new_value].dims));
    ONESTEP_TRY(check_range(state.buffer.get(), 0, size * 4, "a new state"));
  }
  return ok();
}

Status read_reports(const onestep_program_args &args, ProgramDescription *out) {
  const Dims scalar;
  ONESTEP_TRY(check_list(args.reports, args.report_count, "reports"));
  if (args.report_count > ONESTEP_MAX_REPORTS) {
    return failure(ONESTEP_INVALID_ARGUMENT, "at most %d reports, got %llu", ONESTEP_MAX_REPORTS,
                   static_cast<unsigned long long>(args.report_count));
  }
  for (uint64_t i = 0; i < args.report_count; i++) {
    ONESTEP_TRY(check_value(out->graph, args.reports[i], &scalar, "a report"));
    out->reports.push_back(args.reports[i]);
  }
  return ok();
}

Status read_outputs(const onestep_program_args &args, ProgramDescription *out) {
  ONESTEP_TRY(check_list(args.outputs, args.output_count, "outputs"));
  for (uint64_t i = 0; i < args.output_count; i++) {
    const onestep_output &from = args.outputs[i];
    if (from.value >= out->graph.nodes.size()) {
      return failure(ONESTEP_INVALID_ARGUMENT, "output %llu: the graph has no node %u",
                     static_cast<unsigned long long>(i), from.value);
    }
    const Node &node = out->graph.nodes[from.value];
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
  for (const Node &node : out->graph.nodes) {
    if (node.op != ONESTEP_OP_FEED) continue;
    uint64_t bytes = static_cast<uint64_t>(elements(node.dims)) * dtype_bytes(node.dtype);
    uint64_t &most = out->feed_bytes[node.ints[0]];
    most = std::max(most, bytes);
  }
}

Status check_system(const ProgramDescription &program) {
  if (supports_bf16()) return ok();
  for (const Node &node : program.graph.nodes) {
    if (node.dtype != ONESTEP_BF16) continue;
    return failure(ONESTEP_UNSUPPORTED, "bf16 needs macOS 14");
  }
  return ok();
}

Status read_options(const onestep_program_args &args, ProgramDescription *out) {
  if (args.mode > ONESTEP_INFER || args.convolution_path > ONESTEP_CONVOLUTION_HYBRID) {
    return failure(ONESTEP_INVALID_ARGUMENT, "no such mode (%u) or convolution path (%u)",
                   args.mode, args.convolution_path);
  }
  // A bound on the lists that are made from these counts.
  constexpr uint64_t kMost = 1 << 20;
  if (args.feed_count > kMost || args.scalar_count > kMost || args.state_count > kMost) {
    return failure(ONESTEP_INVALID_ARGUMENT, "too many feeds, scalars or states");
  }
  out->mode = static_cast<onestep_mode>(args.mode);
  out->convolution_path = static_cast<onestep_convolution_path>(args.convolution_path);
  out->flops_per_command_buffer = args.flops_per_command_buffer;
  out->scalar_count = args.scalar_count;
  return ok();
}

}  // namespace

Status read_program(const onestep_program_args &args, ProgramDescription *out) {
  if (!args.queue) return failure(ONESTEP_INVALID_ARGUMENT, "the queue is NULL");
  out->queue = Handle<onestep_queue>(args.queue);
  ONESTEP_TRY(read_options(args, out));
  ONESTEP_TRY(read_states(args, out));
  ONESTEP_TRY(read_step(args, out));
  ONESTEP_TRY(check_system(*out));
  ONESTEP_TRY(check_new_states(*out));
  ONESTEP_TRY(read_reports(args, out));
  ONESTEP_TRY(read_outputs(args, out));
  measure_feeds(args.feed_count, out);
  return ok();
}

}  // namespace onestep
