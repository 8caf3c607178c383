#include "program_compiler.h"

#include <algorithm>

#include "update_builder.h"

namespace onestep {

namespace {

uint64_t f32_bytes(const Dims &dims) { return static_cast<uint64_t>(elements(dims)) * 4; }

// Parameters are windows of their group's buffer; two that overlap in part have no one gradient.
Status check_parameters(const Graph &graph) {
  std::vector<ParameterShare> list;
  for (const Node &node : graph.nodes) {
    if (node.op == ONESTEP_OP_PARAMETER) list.push_back(share_of(node));
  }
  auto key = [](const ParameterShare &p) { return std::make_tuple(p.group, p.first, p.count); };
  std::sort(list.begin(), list.end(), [&](auto &a, auto &b) { return key(a) < key(b); });
  for (size_t i = 1; i < list.size(); i++) {
    const ParameterShare &a = list[i - 1], &b = list[i];
    if (a.group != b.group || key(a) == key(b) || a.first + a.count <= b.first) continue;
    return failure(ONESTEP_INVALID_ARGUMENT,
                   "group %u: two parameters overlap, at elements %lld and %lld", a.group,
                   static_cast<long long>(a.first), static_cast<long long>(b.first));
  }
  return ok();
}

}  // namespace

Status ProgramCompiler::compile() {
  ONESTEP_TRY(check_parameters(from_.forward));
  ONESTEP_TRY(bind_buffers());
  collect_leaf_context();
  std::vector<bool> hybrid(from_.forward.nodes.size());
  if (from_.convolution_path == ONESTEP_CONVOLUTION_HYBRID) hybrid = hybrid_nodes(from_.forward);
  parts_ = cut_into_parts(from_, hybrid);
  if (from_.trains() && parts_.loss_part == kNoPart) {
    return failure(ONESTEP_INVALID_ARGUMENT, "the loss is computed from nothing");
  }
  for (uint32_t part = 0; part < parts_.last(); part++) ONESTEP_TRY(compile_forward(part));
  ONESTEP_TRY(compile_last());
  if (from_.trains()) {
    for (uint32_t part = parts_.last(); part-- > 0;) ONESTEP_TRY(compile_backward(part));
    ONESTEP_TRY(collect_gradients());
    ONESTEP_TRY(compile_update());
    ONESTEP_TRY(add_copies());
  }
  ONESTEP_TRY(link());
  split();
  // What was compiled needs the graphs no longer.
  program_.description.forward = Graph();
  program_.description.update = Graph();
  return ok();
}

void ProgramCompiler::collect_leaf_context() {
  leaves_.group_elements = from_.group_elements();
  leaves_.scalars = from_.scalar_count;
  for (const Node &node : from_.forward.nodes) {
    if (node.op != ONESTEP_OP_RANDOM_UNIFORM) continue;
    auto stream = static_cast<uint32_t>(node.ints[0]);
    auto &streams = leaves_.streams;
    if (std::find(streams.begin(), streams.end(), stream) == streams.end()) {
      streams.push_back(stream);
    }
  }
  program_.streams = leaves_.streams;
  update_leaves_ = leaves_;
  update_leaves_.update = true;
}

Status ProgramCompiler::bind_buffers() {
  for (uint32_t i = 0; i < from_.states.size(); i++) {
    program_.bindings.bind({Source::State, i}, from_.states[i].buffer->metal.get());
  }
  ONESTEP_TRY(bind_groups());
  ONESTEP_TRY(bind_outputs());
  return allocate_step_memory();
}

Status ProgramCompiler::bind_groups() {
  onestep_device *device = from_.queue->device.get();
  for (uint32_t i = 0; i < from_.groups.size(); i++) {
    const GroupDescription &group = from_.groups[i];
    program_.bindings.bind({Source::Parameter, i}, group.parameter->metal.get());
    if (!from_.trains()) continue;
    for (uint32_t k = 0; k < group.states.size(); k++) {
      program_.bindings.bind({Source::OptimizerState, i, k}, group.states[k]->metal.get());
    }
    Handle<onestep_buffer> gradient = group.gradient;
    if (!gradient) {
      uint64_t bytes = group.elements * 4;
      ONESTEP_TRY(create_buffer(device, bytes, ONESTEP_STORAGE_PRIVATE, &gradient));
      program_.own_bytes += bytes;
    }
    program_.bindings.bind({Source::Gradient, i}, gradient->metal.get());
    program_.gradients.push_back(std::move(gradient));
  }
  return ok();
}

Status ProgramCompiler::bind_outputs() {
  onestep_device *device = from_.queue->device.get();
  for (uint32_t i = 0; i < from_.outputs.size(); i++) {
    Handle<onestep_buffer> buffer = from_.outputs[i].buffer;
    if (!buffer) {
      uint64_t bytes = from_.outputs[i].bytes;
      ONESTEP_TRY(create_buffer(device, bytes, ONESTEP_STORAGE_SHARED, &buffer));
      program_.own_bytes += bytes;
    }
    program_.bindings.bind({Source::Output, i}, buffer->metal.get());
    program_.outputs.push_back(std::move(buffer));
  }
  return ok();
}

// What the host writes before a step and reads after it, once for each step in flight.
Status ProgramCompiler::allocate_step_memory() {
  Bindings &bindings = program_.bindings;
  if (from_.scalar_count) {
    ONESTEP_TRY(bindings.allocate_in_flight({Source::Scalars}, from_.scalar_count * 4));
  }
  if (!from_.reports.empty()) {
    ONESTEP_TRY(bindings.allocate_in_flight({Source::Reports, 0}, from_.reports.size() * 4));
  }
  if (from_.update_reports.empty()) return ok();
  return bindings.allocate_in_flight({Source::Reports, 1}, from_.update_reports.size() * 4);
}

// Gives private memory to what passes from stage to stage.
Status ProgramCompiler::provide(const Executable &executable) {
  for (const Executable::Operand &operand : executable.results()) {
    switch (operand.place.source) {
      case Source::Boundary:
      case Source::BoundaryGradient:
      case Source::ParameterGradient:
      case Source::NewState: {
        auto count = static_cast<uint64_t>(elements(operand.dims));
        ONESTEP_TRY(program_.bindings.allocate(operand.place, count * dtype_bytes(operand.dtype)));
        break;
      }
      default: break;
    }
  }
  return ok();
}

Status ProgramCompiler::add_executable(ExecutableBuilder &builder, uint64_t flops) {
  if (!builder.has_results()) return ok();
  std::unique_ptr<Executable> executable;
  ONESTEP_TRY(builder.compile(*from_.queue->device.get(), &executable));
  ONESTEP_TRY(provide(*executable));
  executable->flops = flops;
  program_.stages.push_back(std::move(executable));
  return ok();
}

Status ProgramCompiler::compile_forward(uint32_t part) {
  if (parts_.list[part].hybrid) return compile_hybrid_forward(part);
  PartBuilder builder(from_, parts_, part, leaves_);
  ONESTEP_TRY(builder.forward());
  return add_executable(builder.builder(), parts_.list[part].flops);
}

// The last part needs no recomputation: its forward and backward pass are one graph. In a step of
// one part that is the whole of both.
Status ProgramCompiler::compile_last() {
  uint32_t part = parts_.last();
  PartBuilder builder(from_, parts_, part, leaves_);
  ONESTEP_TRY(builder.forward());
  uint64_t flops = parts_.list[part].flops;
  if (from_.trains() && builder.has_backward()) {
    std::vector<SharedGradient> gradients;
    ONESTEP_TRY(builder.backward(&gradients));
    if (parts_.single()) {
      write_flat_gradients(builder.builder(), from_, gradients);
    } else {
      ONESTEP_TRY(keep_shares(builder.builder(), gradients));
    }
    flops *= 3;
  }
  return add_executable(builder.builder(), flops);
}

Status ProgramCompiler::compile_backward(uint32_t part) {
  if (parts_.list[part].hybrid) return compile_hybrid_backward(part);
  PartBuilder builder(from_, parts_, part, leaves_);
  if (!builder.has_backward()) return ok();
  std::vector<SharedGradient> gradients;
  ONESTEP_TRY(builder.backward(&gradients));
  ONESTEP_TRY(keep_shares(builder.builder(), gradients));
  return add_executable(builder.builder(), 3 * parts_.list[part].flops);
}

Status ProgramCompiler::keep_shares(ExecutableBuilder &builder,
                                    const std::vector<SharedGradient> &gradients) {
  for (const SharedGradient &gradient : gradients) {
    auto index = static_cast<uint32_t>(shares_.size());
    shares_.push_back(gradient.share);
    builder.result({Source::ParameterGradient, index}, gradient.tensor, gradient.share.dims,
                   ONESTEP_F32);
  }
  return ok();
}

// Joins the shares of all parts to the groups' flat gradients.
Status ProgramCompiler::collect_gradients() {
  if (parts_.single()) return ok();
  ExecutableBuilder builder;
  std::vector<SharedGradient> gradients;
  for (uint32_t i = 0; i < shares_.size(); i++) {
    Dims dims = shares_[i].dims;
    if (shares_[i].channels_last) dims = {dims[0], dims[2], dims[3], dims[1]};
    gradients.push_back({shares_[i], builder.input({Source::ParameterGradient, i}, dims,
                                                   ONESTEP_F32)});
  }
  write_flat_gradients(builder, from_, gradients);
  uint64_t size = 0;
  for (const GroupDescription &group : from_.groups) size += group.elements;
  return add_executable(builder, size);
}

Status ProgramCompiler::compile_update() {
  std::unique_ptr<Executable> executable;
  ONESTEP_TRY(build_update(from_, update_leaves_, &executable));
  if (!executable) return ok();
  for (const Update &update : updates_of(from_)) {
    bool in_place = from_.update_binding == ONESTEP_UPDATE_IN_PLACE &&
                    safe_in_place(from_.update, update);
    if (in_place) {
      program_.bindings.bind(update.new_place, program_.bindings.at(update.old_place, 0));
    } else {
      const Dims &dims = from_.update.nodes[update.value].dims;
      ONESTEP_TRY(program_.bindings.allocate(update.new_place, f32_bytes(dims)));
    }
  }
  program_.stages.push_back(std::move(executable));
  return ok();
}

// New values that could not be written in place get there at the end of the step, when nothing
// reads the old ones any more.
Status ProgramCompiler::add_copies() {
  auto copies = std::make_unique<CopyStage>();
  for (uint32_t i = 0; i < from_.states.size(); i++) {
    uint32_t value = from_.states[i].new_value;
    if (value == ONESTEP_NO_VALUE) continue;
    copies->add({Source::NewState, i}, {Source::State, i},
                f32_bytes(from_.forward.nodes[value].dims));
  }
  for (const Update &update : updates_of(from_)) {
    id<MTLBuffer> fresh = program_.bindings.at(update.new_place, 0);
    if (fresh == program_.bindings.at(update.old_place, 0)) continue;
    copies->add(update.new_place, update.old_place,
                f32_bytes(from_.update.nodes[update.value].dims));
  }
  if (!copies->empty()) program_.stages.push_back(std::move(copies));
  return ok();
}

Status ProgramCompiler::link() {
  if (!leaves_.streams.empty()) {
    uint64_t bytes = leaves_.streams.size() * kPhiloxWords * 4;
    ONESTEP_TRY(program_.bindings.allocate_in_flight({Source::Random}, bytes));
  }
  for (auto &stage : program_.stages) ONESTEP_TRY(stage->link(program_.bindings));
  return ok();
}

// Ends a command buffer before the stage that would bring its work above the limit.
void ProgramCompiler::split() {
  program_.ends_commands.assign(program_.stages.size(), false);
  uint64_t limit = from_.flops_per_command_buffer, work = 0;
  for (size_t i = 0; limit && i < program_.stages.size(); i++) {
    uint64_t flops = program_.stages[i]->flops;
    if (i && work && work + flops > limit) {
      program_.ends_commands[i - 1] = true;
      work = 0;
    }
    work += flops;
  }
}

}  // namespace onestep
