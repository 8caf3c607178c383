// From a description to the stages of a step.
#pragma once

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
  Status bind_groups();
  Status allocate_step_memory();
  void collect_leaf_context();

  // The stages, in the order of a step.
  Status compile_forward(uint32_t part);
  Status compile_last();
  Status compile_backward(uint32_t part);
  Status compile_hybrid_forward(uint32_t part);
  Status compile_hybrid_backward(uint32_t part);
  void bind_convolution(uint32_t node, const HybridConvolution &convolution);
  Status collect_gradients();
  Status compile_update();
  Status add_copies();

  // Appends a compiled graph and gives memory to what it writes.
  Status add_executable(ExecutableBuilder &builder, uint64_t flops);
  Status keep_shares(ExecutableBuilder &builder, const std::vector<SharedGradient> &gradients);
  Status provide(const Executable &executable);
  Status link();
  void split();

  onestep_program &program_;
  const ProgramDescription &from_;
  LeafContext leaves_, update_leaves_;
  Parts parts_;
  // Shares of gradients that lie in memory, by their index.
  std::vector<ParameterShare> shares_;
  // The convolutions outside of the graph, by their node.
  std::map<uint32_t, Handle<HybridConvolution>> convolutions_;
};

}  // namespace onestep
