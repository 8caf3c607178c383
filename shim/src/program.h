// A compiled program: the stages of its step and their memory.
#pragma once

#include "description.h"
#include "stage.h"

struct onestep_program : onestep::Counted {
  explicit onestep_program(onestep::ProgramDescription &&from)
      : description(std::move(from)),
        bindings(description.queue->device.get(), description.queue->places) {}

  // The graph's nodes are dropped once the program is compiled.
  onestep::ProgramDescription description;
  onestep::Bindings bindings;
  std::vector<uint32_t> streams;
  std::vector<std::unique_ptr<onestep::Stage>> stages;
  // Whether a command buffer ends behind a stage.
  std::vector<bool> ends_commands;
  // The program's own buffers that a caller may ask for.
  std::vector<onestep::Handle<onestep_buffer>> outputs;
  uint64_t own_bytes = 0;
  uint32_t hybrid_convolutions = 0;

  onestep::Status submit(onestep_step_args &args);

 private:
  onestep::Status check_step(const onestep_step_args &args) const;
  onestep::Status encode(const onestep_step_args &args, onestep::Commands &commands,
                         onestep::Flight &flight);
  void write_scalars(const onestep_step_args &args, uint32_t place) const;
  void keep_buffers(const onestep_step_args &args, onestep::Flight &flight) const;
};

namespace onestep {

Status compile_program(const onestep_program_args &args, Handle<onestep_program> *out);
void describe_program(const onestep_program &program, onestep_program_info *info);
Status program_output(onestep_program &program, uint64_t index, Handle<onestep_buffer> *out);

}  // namespace onestep
