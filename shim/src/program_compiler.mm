#include "program_compiler.h"

#include <algorithm>

namespace onestep {

Status ProgramCompiler::compile() {
  leaves_ = leaf_context(from_.graph, from_.scalar_count);
  program_.streams = leaves_.streams;
  ONESTEP_TRY(bind_buffers());
  parts_ = cut_into_parts(from_);
  ONESTEP_TRY(make_convolutions());
  std::vector<bool> crosses = crossing(from_, parts_);
  for (uint32_t part = 0; part <= parts_.last(); part++) {
    ONESTEP_TRY(compile_part(part, crosses));
  }
  ONESTEP_TRY(add_copies());
  ONESTEP_TRY(link());
  split();
  // What was compiled needs the graph no longer.
  program_.description.graph = Graph();
  return ok();
}

// The caller's buffers, and what the host writes before a step and reads after it, once for each step
// in flight.
Status ProgramCompiler::bind_buffers() {
  Bindings &bindings = program_.bindings;
  for (uint32_t i = 0; i < from_.states.size(); i++) {
    bindings.bind({Source::State, i}, from_.states[i].buffer->metal.get());
  }
  ONESTEP_TRY(bind_outputs());
  if (from_.scalar_count) {
    ONESTEP_TRY(bindings.allocate_in_flight({Source::Scalars}, from_.scalar_count * 4));
  }
  if (!from_.reports.empty()) {
    ONESTEP_TRY(bindings.allocate_in_flight({Source::Reports}, from_.reports.size() * 4));
  }
  if (leaves_.streams.empty()) return ok();
  return bindings.allocate_in_flight({Source::Random}, leaves_.streams.size() * kPhiloxWords * 4);
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

Status ProgramCompiler::make_convolutions() {
  Bindings &bindings = program_.bindings;
  for (uint32_t i = 0; i < parts_.convolutions.size(); i++) {
    const OutsideConvolution &from = parts_.convolutions[i];
    ConvolutionShape shape = convolution_shape(from_.graph, from_.graph.nodes[from.forward]);
    Handle<HybridConvolution> made;
    ONESTEP_TRY(HybridConvolution::create(*from_.queue->device.get(), shape, from.has_gradient(),
                                          &made));
    bindings.bind_array({Source::HybridInput, i}, made->x.get());
    bindings.bind_array({Source::HybridOutput, i}, made->y.get());
    bindings.bind({Source::HybridWeight, i}, made->weight.get());
    if (from.has_gradient()) {
      bindings.bind_array({Source::HybridInputGradient, i}, made->dx.get());
      bindings.bind_array({Source::HybridOutputGradient, i}, made->dy.get());
      bindings.bind({Source::HybridWeightGradient, i}, made->weight_gradient());
    }
    program_.own_bytes += made->bytes();
    program_.hybrid_convolutions++;
    convolutions_.push_back(std::move(made));
  }
  return ok();
}

// Gives private memory to what passes from stage to stage.
Status ProgramCompiler::provide(const Executable &executable) {
  for (const Executable::Operand &operand : executable.results()) {
    Source source = operand.place.source;
    if (source != Source::Boundary && source != Source::NewState) continue;
    auto count = static_cast<uint64_t>(elements(operand.dims));
    ONESTEP_TRY(program_.bindings.allocate(operand.place, count * dtype_bytes(operand.dtype)));
  }
  return ok();
}

Status ProgramCompiler::compile_part(uint32_t part, const std::vector<bool> &crosses) {
  PartBuilder builder(from_, parts_, crosses, leaves_, part);
  ONESTEP_TRY(builder.build());
  if (builder.builder().has_results()) {
    std::unique_ptr<Executable> executable;
    ONESTEP_TRY(builder.builder().compile(*from_.queue->device.get(), &executable));
    ONESTEP_TRY(provide(*executable));
    executable->flops = parts_.list[part].flops;
    program_.stages.push_back(std::move(executable));
  }
  add_convolution(parts_.list[part]);
  return ok();
}

void ProgramCompiler::add_convolution(const Part &part) {
  if (part.convolution == kNoConvolution) return;
  auto stage = std::make_unique<HybridStage>(convolutions_[part.convolution], part.backward);
  stage->flops = part.convolution_flops;
  program_.stages.push_back(std::move(stage));
}

// New values get to their states at the end of the step, when nothing reads the old ones any more.
Status ProgramCompiler::add_copies() {
  auto copies = std::make_unique<CopyStage>();
  for (uint32_t i = 0; i < from_.states.size(); i++) {
    if (is_unchanged(from_, i)) continue;
    const Dims &dims = from_.graph.nodes[from_.states[i].new_value].dims;
    copies->add({Source::NewState, i}, {Source::State, i},
                static_cast<uint64_t>(elements(dims)) * 4);
  }
  if (!copies->empty()) program_.stages.push_back(std::move(copies));
  return ok();
}

Status ProgramCompiler::link() {
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
