#include "program.h"

#include "program_compiler.h"

namespace onestep {

Status compile_program(const onestep_program_args &args, Handle<onestep_program> *out) {
  ProgramDescription description;
  ONESTEP_TRY(read_program(args, &description));
  auto program = Handle<onestep_program>::adopt(new onestep_program(std::move(description)));
  ONESTEP_TRY(ProgramCompiler(*program.get()).compile());
  *out = std::move(program);
  return ok();
}

void describe_program(const onestep_program &program, onestep_program_info *info) {
  info->bytes = program.bindings.bytes() + program.own_bytes;
  info->flops = 0;
  info->encodes_per_step = 0;
  info->command_buffers_per_step = 1;
  for (size_t i = 0; i < program.stages.size(); i++) {
    info->flops += program.stages[i]->flops;
    info->encodes_per_step += program.stages[i]->encodes();
    info->command_buffers_per_step += program.ends_commands[i] ? 1 : 0;
  }
  info->report_count = static_cast<uint32_t>(program.description.reports.size());
  info->hybrid_convolutions = program.hybrid_convolutions;
}

Status program_output(onestep_program &program, uint64_t index, Handle<onestep_buffer> *out) {
  if (index >= program.outputs.size()) {
    return failure(ONESTEP_INVALID_ARGUMENT, "output %llu of %zu",
                   static_cast<unsigned long long>(index), program.outputs.size());
  }
  *out = program.outputs[index];
  return ok();
}

}  // namespace onestep
