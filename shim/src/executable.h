// Compiled graphs with the places that they read and write.
#pragma once

#include "emit.h"
#include "stage.h"

namespace onestep {

// A compiled graph as a stage of a step.
class Executable : public Stage {
 public:
  // One input or result.
  struct Operand {
    Place place;
    Dims dims;
    onestep_dtype dtype;
    // The memory, one for each place in flight; empty where the call gives it.
    std::vector<Ref<MPSGraphTensorData *>> bound;
  };

  Status link(const Bindings &bindings) override;
  Status encode(MPSCommandBuffer *commands, const StepContext &step) override;
  uint32_t encodes() const override { return 1; }
  const std::vector<Operand> &results() const { return results_; }

 private:
  friend class ExecutableBuilder;
  static void link_operands(std::vector<Operand> *operands, const Bindings &bindings);
  static Status find_operands(const std::vector<Operand> &operands, const StepContext &step,
                              NSArray<MPSGraphTensorData *> **out);

  Ref<MPSGraphExecutable *> executable_;
  Ref<MPSGraphExecutableExecutionDescriptor *> execution_;
  // In the order of the executable's own feedTensors and targetTensors.
  std::vector<Operand> inputs_, results_;
};

// Collects the inputs and results of a graph and compiles it.
class ExecutableBuilder {
 public:
  ExecutableBuilder() : graph_(Ref<MPSGraph *>::adopt([MPSGraph new])) {}

  MPSGraph *graph() const { return graph_.get(); }
  // The placeholder of a place, the same for each call.
  MPSGraphTensor *input(Place place, const Dims &dims, onestep_dtype dtype);
  // Lets a tensor be written to a place.
  void result(Place place, MPSGraphTensor *tensor, const Dims &dims, onestep_dtype dtype);
  bool has_results() const { return !results_.empty(); }
  Status compile(onestep_device &device, std::unique_ptr<Executable> *out);

 private:
  struct Named {
    Executable::Operand operand;
    MPSGraphTensor *tensor;
  };
  bool needs_copy(MPSGraphTensor *tensor) const;
  Status run_compiler(onestep_device &device, Ref<MPSGraphExecutable *> *out);
  static Status order(NSArray<MPSGraphTensor *> *wanted, const std::vector<Named> &named,
                      std::vector<Executable::Operand> *out);

  Ref<MPSGraph *> graph_;
  std::vector<Named> inputs_, results_;
};

}  // namespace onestep
