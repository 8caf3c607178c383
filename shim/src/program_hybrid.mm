// Convolutions outside of the graph as stages of a step.

#include "program_compiler.h"

namespace onestep {

void ProgramCompiler::bind_convolution(uint32_t node, const HybridConvolution &convolution) {
  Bindings &bindings = program_.bindings;
  bindings.bind_array({Source::HybridInput, node}, convolution.x.get());
  bindings.bind_array({Source::HybridOutput, node}, convolution.y.get());
  bindings.bind({Source::HybridWeight, node}, convolution.weight.get());
  if (!convolution.dx) return;
  bindings.bind_array({Source::HybridInputGradient, node}, convolution.dx.get());
  bindings.bind_array({Source::HybridOutputGradient, node}, convolution.dy.get());
}

// A graph lays out input and weight with their channels last; then comes the kernel.
Status ProgramCompiler::compile_hybrid_forward(uint32_t part) {
  const Graph &graph = from_.forward;
  uint32_t index = parts_.list[part].nodes[0];
  const Node &node = graph.nodes[index];
  ConvolutionShape shape = convolution_shape(graph, node);
  Handle<HybridConvolution> convolution;
  bool trains = from_.trains() && parts_.active[index];
  ONESTEP_TRY(HybridConvolution::create(*from_.queue->device.get(), shape, trains, &convolution));
  bind_convolution(index, *convolution.get());
  convolutions_[index] = convolution;
  program_.own_bytes += convolution->bytes();
  program_.hybrid_convolutions++;

  ExecutableBuilder builder;
  NodeEmitter emitter(builder, graph, leaves_);
  uint32_t x = node.inputs[0], w = node.inputs[1];
  emitter.set_outside([this](uint32_t value) { return parts_.part_of[value] != kNoPart; },
                      [&](uint32_t value) {
                        return boundary_value(builder, graph, parts_, value);
                      });
  ONESTEP_TRY(emitter.emit({x, w}));
  auto lay_out = [&](Source source, uint32_t value, const Dims &dims) {
    builder.result({source, index}, with_channels_last(builder.graph(), emitter.at(value)),
                   channels_last(dims), ONESTEP_F32);
  };
  lay_out(Source::HybridInput, x, shape.x);
  lay_out(Source::HybridWeight, w, shape.w);
  ONESTEP_TRY(add_executable(builder, static_cast<uint64_t>(elements(shape.x))));
  auto stage = std::make_unique<HybridStage>(std::move(convolution), false);
  stage->flops = parts_.list[part].flops;
  program_.stages.push_back(std::move(stage));
  // What is asked of the convolution's own value is written by a graph of its own.
  PartBuilder copier(from_, parts_, part, leaves_);
  ONESTEP_TRY(copier.write_targets());
  return add_executable(copier.builder(), static_cast<uint64_t>(elements(shape.y)));
}

// A graph adds up the gradient of the output with its channels last; then comes the kernel. The
// gradient of the weight is read where the kernel leaves it.
Status ProgramCompiler::compile_hybrid_backward(uint32_t part) {
  uint32_t index = parts_.list[part].nodes[0];
  const Node &node = from_.forward.nodes[index];
  const Handle<HybridConvolution> &convolution = convolutions_[index];
  ExecutableBuilder builder;
  MPSGraphTensor *gradient = boundary_gradient(builder, from_.forward, parts_, index);
  if (!gradient) return ok();
  builder.result({Source::HybridOutputGradient, index},
                 with_channels_last(builder.graph(), gradient), channels_last(node.dims),
                 ONESTEP_F32);
  ONESTEP_TRY(add_executable(builder, static_cast<uint64_t>(elements(node.dims))));
  auto stage = std::make_unique<HybridStage>(convolution, true);
  stage->flops = 2 * parts_.list[part].flops;
  program_.stages.push_back(std::move(stage));
  ParameterShare share = share_of(from_.forward.nodes[node.inputs[1]]);
  share.channels_last = true;
  auto slot = static_cast<uint32_t>(shares_.size());
  program_.bindings.bind({Source::ParameterGradient, slot}, convolution->weight_gradient());
  shares_.push_back(share);
  return ok();
}

}  // namespace onestep
