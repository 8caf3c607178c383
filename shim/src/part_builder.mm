#include "part_builder.h"

#include <algorithm>

#include "hybrid_convolution.h"

namespace onestep {

ParameterShare share_of(const Node &node) {
  return {static_cast<uint32_t>(node.ints[0]), node.ints[1], elements(node.dims), node.dims, false};
}

namespace {

MPSGraphTensor *add(MPSGraph *g, MPSGraphTensor *a, MPSGraphTensor *b) {
  return a ? [g additionWithPrimaryTensor:a secondaryTensor:b name:nil] : b;
}

MPSGraphTensor *zeros(MPSGraph *g, const Dims &dims) {
  return [g constantWithScalar:0 shape:shape_of(dims) dataType:MPSDataTypeFloat32];
}

// A share as a vector in the parameter's own order.
MPSGraphTensor *as_vector(MPSGraph *g, const SharedGradient &gradient) {
  MPSGraphTensor *tensor = gradient.tensor;
  if (gradient.share.channels_last) tensor = with_channels_first(g, tensor);
  return reshaped(g, tensor, {gradient.share.count});
}

MPSGraphTensor *flat_gradient(MPSGraph *g, uint32_t group, int64_t total,
                              const std::vector<SharedGradient> &gradients) {
  std::vector<const SharedGradient *> own;
  for (const SharedGradient &gradient : gradients) {
    if (gradient.share.group == group) own.push_back(&gradient);
  }
  std::sort(own.begin(), own.end(), [](auto *a, auto *b) { return a->share.first < b->share.first; });
  Tensors pieces;
  int64_t at = 0;
  for (size_t i = 0; i < own.size();) {
    const ParameterShare &share = own[i]->share;
    if (share.first > at) pieces.push_back(zeros(g, {share.first - at}));
    MPSGraphTensor *sum = nil;
    for (; i < own.size() && own[i]->share.first == share.first; i++) {
      sum = add(g, sum, as_vector(g, *own[i]));
    }
    pieces.push_back(sum);
    at = share.first + share.count;
  }
  if (at < total) pieces.push_back(zeros(g, {total - at}));
  return join_vectors(g, pieces);
}

}  // namespace

void write_flat_gradients(ExecutableBuilder &builder, const ProgramDescription &program,
                          const std::vector<SharedGradient> &gradients) {
  for (uint32_t group = 0; group < program.groups.size(); group++) {
    auto total = static_cast<int64_t>(program.groups[group].elements);
    MPSGraphTensor *flat = flat_gradient(builder.graph(), group, total, gradients);
    builder.result({Source::Gradient, group}, flat, {total}, ONESTEP_F32);
  }
}

MPSGraphTensor *with_channels_first(MPSGraph *g, MPSGraphTensor *x) {
  return [g transposeTensor:x permutation:numbers({0, 3, 1, 2}) name:nil];
}

MPSGraphTensor *with_channels_last(MPSGraph *g, MPSGraphTensor *x) {
  return [g transposeTensor:x permutation:numbers({0, 2, 3, 1}) name:nil];
}

MPSGraphTensor *boundary_value(ExecutableBuilder &builder, const Graph &graph, const Parts &parts,
                               uint32_t value) {
  const Node &node = graph.nodes[value];
  if (!parts.list[parts.part_of[value]].hybrid) {
    return builder.input({Source::Boundary, value}, node.dims, node.dtype);
  }
  Dims dims = channels_last(node.dims);
  return with_channels_first(builder.graph(),
                             builder.input({Source::HybridOutput, value}, dims, node.dtype));
}

MPSGraphTensor *boundary_gradient(ExecutableBuilder &builder, const Graph &graph,
                                  const Parts &parts, uint32_t value) {
  MPSGraph *g = builder.graph();
  const Dims &dims = graph.nodes[value].dims;
  MPSGraphTensor *sum = nil;
  for (uint32_t taker : gradient_takers_of(graph, parts, value)) {
    const Part &part = parts.list[taker];
    Place place = part.hybrid ? Place{Source::HybridInputGradient, part.nodes[0]}
                              : Place{Source::BoundaryGradient, value, taker};
    Dims stored = part.hybrid ? channels_last(dims) : dims;
    MPSGraphTensor *share = builder.input(place, stored, ONESTEP_F32);
    sum = add(g, sum, part.hybrid ? with_channels_first(g, share) : share);
  }
  return sum;
}

PartBuilder::PartBuilder(const ProgramDescription &program, const Parts &parts, uint32_t part,
                         const LeafContext &leaves)
    : program_(program), parts_(parts), part_(part), emitter_(builder_, program.forward, leaves) {
  // All of a convolution outside of the graph is outside, its own value included.
  bool hybrid = parts.list[part].hybrid;
  emitter_.set_outside(
      [this, hybrid](uint32_t value) {
        uint32_t from = parts_.part_of[value];
        return from != kNoPart && (hybrid || from != part_);
      },
      [this](uint32_t value) {
        return boundary_value(builder_, program_.forward, parts_, value);
      });
}

// Leaves that are asked for are given by the last part.
bool PartBuilder::is_home_of(uint32_t value) const {
  uint32_t part = parts_.part_of[value];
  return part == kNoPart ? part_ == parts_.last() : part == part_;
}

Status PartBuilder::write_value(Place place, uint32_t value) {
  ONESTEP_TRY(emitter_.emit({value}));
  const Node &node = program_.forward.nodes[value];
  builder_.result(place, emitter_.at(value), node.dims, node.dtype);
  return ok();
}

Status PartBuilder::write_reports() {
  if (program_.reports.empty()) return ok();
  ONESTEP_TRY(emitter_.emit(program_.reports));
  Tensors scalars;
  for (uint32_t report : program_.reports) scalars.push_back(emitter_.at(report));
  auto count = static_cast<int64_t>(scalars.size());
  builder_.result({Source::Reports, 0}, join_vectors(builder_.graph(), scalars), {count},
                  ONESTEP_F32);
  return ok();
}

Status PartBuilder::forward() {
  for (uint32_t index : parts_.list[part_].nodes) {
    if (takers_of(program_, parts_, index).empty()) continue;
    ONESTEP_TRY(write_value({Source::Boundary, index}, index));
  }
  ONESTEP_TRY(write_targets());
  return part_ == parts_.last() ? write_reports() : ok();
}

Status PartBuilder::write_targets() {
  for (uint32_t i = 0; i < program_.outputs.size(); i++) {
    uint32_t value = program_.outputs[i].value;
    if (is_home_of(value)) ONESTEP_TRY(write_value({Source::Output, i}, value));
  }
  for (uint32_t i = 0; i < program_.states.size(); i++) {
    uint32_t value = program_.states[i].new_value;
    if (value == ONESTEP_NO_VALUE || !is_home_of(value)) continue;
    ONESTEP_TRY(write_value({Source::NewState, i}, value));
  }
  return ok();
}

std::vector<uint32_t> PartBuilder::seeds() const {
  std::vector<uint32_t> list;
  for (uint32_t index : parts_.list[part_].nodes) {
    if (!gradient_takers_of(program_.forward, parts_, index).empty()) list.push_back(index);
  }
  return list;
}

bool PartBuilder::has_backward() const { return part_ == parts_.loss_part || !seeds().empty(); }

// The scalar whose gradient is that of the loss: the loss itself where the part has it, and for
// each value with a gradient from later parts the product of both.
Status PartBuilder::total(const std::vector<uint32_t> &seeds, MPSGraphTensor **out) {
  MPSGraph *g = builder_.graph();
  std::vector<uint32_t> needed = seeds;
  if (part_ == parts_.loss_part) needed.push_back(program_.loss);
  ONESTEP_TRY(emitter_.emit(needed));
  MPSGraphTensor *sum = part_ == parts_.loss_part ? emitter_.at(program_.loss) : nil;
  for (uint32_t value : seeds) {
    const Dims &dims = program_.forward.nodes[value].dims;
    MPSGraphTensor *gradient = boundary_gradient(builder_, program_.forward, parts_, value);
    MPSGraphTensor *product = [g multiplicationWithPrimaryTensor:emitter_.at(value)
                                                 secondaryTensor:gradient name:nil];
    MPSGraphTensor *vector = reshaped(g, product, {elements(dims)});
    sum = add(g, sum, [g reductionSumWithTensor:vector axes:numbers({0}) name:nil]);
  }
  *out = sum;
  return ok();
}

// The parameters and taken values through which the loss depends on a parameter in this part.
std::vector<uint32_t> PartBuilder::active_inputs() const {
  std::vector<uint32_t> list;
  for (uint32_t index : parts_.list[part_].nodes) {
    if (!parts_.active[index]) continue;
    for (uint32_t input : program_.forward.nodes[index].inputs) {
      bool outside = parts_.part_of[input] != part_;
      bool known = std::find(list.begin(), list.end(), input) != list.end();
      if (outside && !known && parts_.active[input]) list.push_back(input);
    }
  }
  return list;
}

MPSGraphTensor *PartBuilder::gradient_of(uint32_t value,
                                         NSDictionary<MPSGraphTensor *, MPSGraphTensor *> *all) {
  const Dims &dims = program_.forward.nodes[value].dims;
  MPSGraphTensor *gradient = [all objectForKey:emitter_.at(value)];
  // No gradient: the platform found no way from the value to the loss.
  return gradient ? reshaped(builder_.graph(), gradient, dims) : zeros(builder_.graph(), dims);
}

Status PartBuilder::backward(std::vector<SharedGradient> *gradients) {
  MPSGraphTensor *loss = nil;
  ONESTEP_TRY(total(seeds(), &loss));
  std::vector<uint32_t> inputs = active_inputs();
  ONESTEP_TRY(emitter_.emit(inputs));
  NSMutableArray<MPSGraphTensor *> *tensors = [NSMutableArray array];
  for (uint32_t input : inputs) [tensors addObject:emitter_.at(input)];
  NSDictionary<MPSGraphTensor *, MPSGraphTensor *> *all = nil;
  if (!inputs.empty()) {
    all = [builder_.graph() gradientForPrimaryTensor:loss withTensors:tensors name:nil];
  }
  for (uint32_t input : inputs) {
    const Node &node = program_.forward.nodes[input];
    MPSGraphTensor *gradient = gradient_of(input, all);
    if (node.op == ONESTEP_OP_PARAMETER) {
      gradients->push_back({share_of(node), gradient});
    } else {
      builder_.result({Source::BoundaryGradient, input, part_}, gradient, node.dims, ONESTEP_F32);
    }
  }
  return ok();
}

}  // namespace onestep
