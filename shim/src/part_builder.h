// The compiled graph of one part of the forward graph, forward and backward.
#pragma once

#include "node_emitter.h"
#include "parts.h"

namespace onestep {

// The gradient of a parameter, or one part's share of it.
struct ParameterShare {
  uint32_t group = 0;
  int64_t first = 0, count = 0;  // elements of the group's buffer
  Dims dims;
  // The weight of a convolution as MPSCNNConvolution lays it out: [o, kh, kw, c] for [o, c, kh, kw].
  bool channels_last = false;
};

// The share of a PARAMETER node.
ParameterShare share_of(const Node &node);

// A share with the tensor that holds it.
struct SharedGradient {
  ParameterShare share;
  MPSGraphTensor *tensor;
};

// Writes the gradient of each group as one vector to its place: shares of one parameter are added,
// what has no share is 0.
void write_flat_gradients(ExecutableBuilder &builder, const ProgramDescription &program,
                          const std::vector<SharedGradient> &gradients);

// A picture with its channels last as one with its channels first, and the other way round.
MPSGraphTensor *with_channels_first(MPSGraph *g, MPSGraphTensor *x);
MPSGraphTensor *with_channels_last(MPSGraph *g, MPSGraphTensor *x);
// A value that an earlier part left: by a graph as it is, by a convolution with its channels last.
MPSGraphTensor *boundary_value(ExecutableBuilder &builder, const Graph &graph, const Parts &parts,
                               uint32_t value);
// The gradient of a value, from all parts that take it; nil if there are none.
MPSGraphTensor *boundary_gradient(ExecutableBuilder &builder, const Graph &graph,
                                  const Parts &parts, uint32_t value);

class PartBuilder {
 public:
  PartBuilder(const ProgramDescription &program, const Parts &parts, uint32_t part,
              const LeafContext &leaves);

  // Computes the part's values and writes those that are needed elsewhere.
  Status forward();
  // Computes the gradients of what the part takes and of its parameters. Those of what it takes are
  // written; those of parameters are left in `gradients`.
  Status backward(std::vector<SharedGradient> *gradients);
  // Writes outputs and new states of the part: all that is asked of a convolution outside of the
  // graph.
  Status write_targets();
  ExecutableBuilder &builder() { return builder_; }
  // Whether a gradient passes through the part at all.
  bool has_backward() const;

 private:
  bool is_home_of(uint32_t value) const;
  Status write_value(Place place, uint32_t value);
  Status write_reports();
  std::vector<uint32_t> seeds() const;
  Status total(const std::vector<uint32_t> &seeds, MPSGraphTensor **out);
  std::vector<uint32_t> active_inputs() const;
  MPSGraphTensor *gradient_of(uint32_t value, NSDictionary<MPSGraphTensor *, MPSGraphTensor *> *all);

  const ProgramDescription &program_;
  const Parts &parts_;
  const uint32_t part_;
  ExecutableBuilder builder_;
  NodeEmitter emitter_;
};

}  // namespace onestep
