#include "part_builder.h"

#include "hybrid_convolution.h"

namespace onestep {

namespace {

// A picture with its channels last as one with its channels first, and the other way round.
MPSGraphTensor *with_channels_first(MPSGraph *g, MPSGraphTensor *x) {
  return [g transposeTensor:x permutation:numbers({0, 3, 1, 2}) name:nil];
}

MPSGraphTensor *with_channels_last(MPSGraph *g, MPSGraphTensor *x) {
  return [g transposeTensor:x permutation:numbers({0, 2, 3, 1}) name:nil];
}

}  // namespace

bool is_unchanged(const ProgramDescription &program, uint32_t state) {
  uint32_t value = program.states[state].new_value;
  if (value == ONESTEP_NO_VALUE) return true;
  const Node &node = program.graph.nodes[value];
  return node.op == ONESTEP_OP_STATE && node.ints[0] == state && node.ints[1] == 0;
}

PartBuilder::PartBuilder(const ProgramDescription &program, const Parts &parts,
                         const std::vector<bool> &crosses, const LeafContext &leaves,
                         uint32_t part)
    : program_(program),
      parts_(parts),
      crosses_(crosses),
      part_(part),
      emitter_(builder_, program.graph, leaves) {
  emitter_.set_outside([this](uint32_t value) { return parts_.is_taken(value, part_); },
                       [this](uint32_t value) { return taken(value); });
}

// A value that an earlier stage left: a graph as it is, a convolution with its channels last.
MPSGraphTensor *PartBuilder::taken(uint32_t value) {
  const Node &node = program_.graph.nodes[value];
  auto outside = parts_.outside.find(value);
  if (outside == parts_.outside.end()) {
    return builder_.input({Source::Boundary, value}, node.dims, node.dtype);
  }
  MPSGraphTensor *left = builder_.input(outside->second, channels_last(node.dims), node.dtype);
  return with_channels_first(builder_.graph(), left);
}

Status PartBuilder::build() {
  ONESTEP_TRY(emitter_.emit(wanted_of(program_, parts_, part_)));
  write_boundaries();
  write_convolution();
  write_targets();
  return ok();
}

void PartBuilder::write(Place place, uint32_t value) {
  const Node &node = program_.graph.nodes[value];
  builder_.result(place, emitter_.at(value), node.dims, node.dtype);
}

void PartBuilder::lay_out(Place place, uint32_t value) {
  builder_.result(place, with_channels_last(builder_.graph(), emitter_.at(value)),
                  channels_last(program_.graph.nodes[value].dims), ONESTEP_F32);
}

void PartBuilder::write_boundaries() {
  for (uint32_t value : parts_.list[part_].nodes) {
    if (crosses_[value]) write({Source::Boundary, value}, value);
  }
}

// The operands of the convolution behind this graph. Its backward pass still has those of the forward
// pass.
void PartBuilder::write_convolution() {
  const Part &part = parts_.list[part_];
  if (part.convolution == kNoConvolution) return;
  const OutsideConvolution &convolution = parts_.convolutions[part.convolution];
  if (part.backward) {
    lay_out({Source::HybridOutputGradient, part.convolution},
            convolution.output_gradient(program_.graph));
    return;
  }
  const std::vector<uint32_t> &inputs = program_.graph.nodes[convolution.forward].inputs;
  lay_out({Source::HybridInput, part.convolution}, inputs[0]);
  lay_out({Source::HybridWeight, part.convolution}, inputs[1]);
}

void PartBuilder::write_targets() {
  for (uint32_t i = 0; i < program_.outputs.size(); i++) {
    uint32_t value = program_.outputs[i].value;
    if (parts_.home_of(value) == part_) write({Source::Output, i}, value);
  }
  for (uint32_t i = 0; i < program_.states.size(); i++) {
    if (is_unchanged(program_, i)) continue;
    uint32_t value = program_.states[i].new_value;
    if (parts_.home_of(value) == part_) write({Source::NewState, i}, value);
  }
  if (part_ != parts_.last() || program_.reports.empty()) return;
  Tensors scalars;
  for (uint32_t report : program_.reports) scalars.push_back(emitter_.at(report));
  auto count = static_cast<int64_t>(scalars.size());
  builder_.result({Source::Reports}, join_vectors(builder_.graph(), scalars), {count},
                  ONESTEP_F32);
}

}  // namespace onestep
