#include "executable.h"

namespace onestep {

MPSGraphTensor *ExecutableBuilder::input(Place place, const Dims &dims, onestep_dtype dtype) {
  for (const Named &known : inputs_) {
    if (known.operand.place == place) return known.tensor;
  }
  MPSGraphTensor *tensor = [graph() placeholderWithShape:shape_of(dims) dataType:data_type(dtype)
                                                    name:nil];
  inputs_.push_back({{place, dims, dtype, {}}, tensor});
  return tensor;
}

// Each result is a tensor of its own: a placeholder or a tensor that is bound already is copied.
bool ExecutableBuilder::needs_copy(MPSGraphTensor *tensor) const {
  for (const Named &known : inputs_) {
    if (known.tensor == tensor) return true;
  }
  for (const Named &known : results_) {
    if (known.tensor == tensor) return true;
  }
  return false;
}

void ExecutableBuilder::result(Place place, MPSGraphTensor *tensor, const Dims &dims,
                               onestep_dtype dtype) {
  if (needs_copy(tensor)) tensor = [graph() identityWithTensor:tensor name:nil];
  results_.push_back({{place, dims, dtype, {}}, tensor});
}

Status ExecutableBuilder::run_compiler(onestep_device &device, Ref<MPSGraphExecutable *> *out) {
  NSMutableDictionary *feeds = [NSMutableDictionary dictionary];
  for (const Named &input : inputs_) {
    MPSGraphShapedType *type = [[[MPSGraphShapedType alloc]
        initWithShape:shape_of(input.operand.dims)
             dataType:data_type(input.operand.dtype)] autorelease];
    [feeds setObject:type forKey:input.tensor];
  }
  NSMutableArray<MPSGraphTensor *> *targets = [NSMutableArray array];
  for (const Named &result : results_) [targets addObject:result.tensor];
  MPSGraphCompilationDescriptor *how = [[[MPSGraphCompilationDescriptor alloc] init] autorelease];
  // Level 1 may move work to other processors, which a step's command buffer would then wait for.
  [how setOptimizationLevel:MPSGraphOptimizationLevel0];
  [how setWaitForCompilationCompletion:YES];
  device.counters.compilations++;
  MPSGraphExecutable *compiled =
      [graph() compileWithDevice:[MPSGraphDevice deviceWithMTLDevice:device.metal.get()]
                           feeds:feeds targetTensors:targets targetOperations:nil
           compilationDescriptor:how];
  if (!compiled) return failure(ONESTEP_COMPILE_FAILED, "MPSGraph gave no executable");
  // Results go where they are bound; the default would copy them for the host as well.
  [compiled setOptions:MPSGraphOptionsNone];
  *out = Ref<MPSGraphExecutable *>(compiled);
  return ok();
}

// The operands in the order of the executable's tensors, which need not be that of the request. A feed
// that turned out not to be needed may be missing.
Status ExecutableBuilder::order(NSArray<MPSGraphTensor *> *wanted, const std::vector<Named> &named,
                                std::vector<Executable::Operand> *out) {
  for (MPSGraphTensor *tensor in wanted) {
    const Named *found = nullptr;
    for (const Named &known : named) {
      if (known.tensor == tensor) found = &known;
    }
    if (!found) return failure(ONESTEP_COMPILE_FAILED, "the executable has an unknown operand");
    out->push_back(found->operand);
  }
  return ok();
}

Status ExecutableBuilder::compile(onestep_device &device, std::unique_ptr<Executable> *out) {
  auto executable = std::make_unique<Executable>();
  ONESTEP_TRY(run_compiler(device, &executable->executable_));
  MPSGraphExecutable *compiled = executable->executable_.get();
  ONESTEP_TRY(order([compiled feedTensors], inputs_, &executable->inputs_));
  ONESTEP_TRY(order([compiled targetTensors], results_, &executable->results_));
  if (executable->results_.size() != results_.size()) {
    return failure(ONESTEP_COMPILE_FAILED, "the executable has %zu results instead of %zu",
                   executable->results_.size(), results_.size());
  }
  executable->execution_ = Ref<MPSGraphExecutableExecutionDescriptor *>::adopt(
      [[MPSGraphExecutableExecutionDescriptor alloc] init]);
  [executable->execution_.get() setWaitUntilCompleted:NO];
  *out = std::move(executable);
  return ok();
}

namespace {

MPSGraphTensorData *tensor_data(id<MTLBuffer> buffer, const Dims &dims, onestep_dtype dtype) {
  return [[[MPSGraphTensorData alloc] initWithMTLBuffer:buffer shape:shape_of(dims)
                                               dataType:data_type(dtype)] autorelease];
}

}  // namespace

void Executable::link_operands(std::vector<Operand> *operands, const Bindings &bindings) {
  for (Operand &operand : *operands) {
    operand.bound.clear();
    if (MPSNDArray *array = bindings.array_at(operand.place)) {
      operand.bound.push_back(Ref<MPSGraphTensorData *>::adopt(
          [[MPSGraphTensorData alloc] initWithMPSNDArray:array]));
    }
    for (uint32_t i = 0; i < bindings.variants(operand.place); i++) {
      operand.bound.emplace_back(
          tensor_data(bindings.at(operand.place, i), operand.dims, operand.dtype));
    }
  }
}

Status Executable::link(const Bindings &bindings) {
  link_operands(&inputs_, bindings);
  link_operands(&results_, bindings);
  return ok();
}

Status Executable::find_operands(const std::vector<Operand> &operands, const StepContext &step,
                                 NSArray<MPSGraphTensorData *> **out) {
  NSMutableArray<MPSGraphTensorData *> *list = [NSMutableArray arrayWithCapacity:operands.size()];
  for (const Operand &operand : operands) {
    const onestep_buffer *given = step.buffers.find(operand.place);
    if (given) {
      [list addObject:tensor_data(given->metal.get(), operand.dims, operand.dtype)];
    } else if (!operand.bound.empty()) {
      size_t variant = operand.bound.size() == 1 ? 0 : step.flight.place;
      [list addObject:operand.bound[variant].get()];
    } else {
      return failure(ONESTEP_INTERNAL, "a place of kind %d has no memory",
                     static_cast<int>(operand.place.source));
    }
  }
  *out = list;
  return ok();
}

Status Executable::encode(MPSCommandBuffer *commands, const StepContext &step) {
  NSArray<MPSGraphTensorData *> *inputs = nil, *results = nil;
  ONESTEP_TRY(find_operands(inputs_, step, &inputs));
  ONESTEP_TRY(find_operands(results_, step, &results));
  // A command buffer need not retain tensor data, so the step does.
  [step.flight.objects.get() addObject:inputs];
  [step.flight.objects.get() addObject:results];
  [executable_.get() encodeToCommandBuffer:commands inputsArray:inputs resultsArray:results
                       executionDescriptor:execution_.get()];
  step.device.counters.encodes++;
  return ok();
}

}  // namespace onestep
