// From a description to the stages of a step.
#pragma once

#include "copy_stage.h"
#include "hybrid_convolution.h"
#include "part_builder.h"
#include "program.h"

namespace onestep {

class ProgramCompiler {
 public:
  explicit ProgramCompiler(onestep_program &program)
      : program_(program), from_(program.description) {}
  Status compile();

 private:
  // The memory that is there before anything is compiled.
  Status bind_buffers();
  Status bind_outputs();
  Status make_convolutions();

  // The stages, in the order of a step.
  Status compile_part(uint32_t part, const std::vector<bool> &crosses);
  void add_convolution(const Part &part);
  Status add_copies();

  // Gives memory to what a compiled graph writes for later stages.
  Status provide(const Executable &executable);
  Status link();
  void split();

  onestep_program &program_;
  const ProgramDescription &from_;
  LeafContext leaves_;
  Parts parts_;
  // The convolutions outside of the graph.
  std::vector<Handle<HybridConvolution>> convolutions_;
};

}  // namespace onestep
