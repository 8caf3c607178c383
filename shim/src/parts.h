// How the forward graph of a step is cut into parts. A step of one part is one compiled graph for
// forward and backward. A step that is too long for a command buffer, or whose convolutions run
// outside of MPSGraph, has several: what passes from one to another lies in memory in between, and
// the backward pass of a part computes its forward pass again.
#pragma once

#include "description.h"

namespace onestep {

struct Part {
  // Ascending. One CONV where the part is hybrid; never leaves, which each part makes for itself.
  std::vector<uint32_t> nodes;
  bool hybrid = false;
  // Of the forward pass.
  uint64_t flops = 0;
};

// Which part a node is in, if any.
constexpr uint32_t kNoPart = UINT32_MAX;

struct Parts {
  std::vector<Part> list;
  std::vector<uint32_t> part_of;
  // Whether the loss depends on a parameter through a node, and by how much is asked.
  std::vector<bool> active;
  // The part that computes the loss; kNoPart without one.
  uint32_t loss_part = kNoPart;

  bool single() const { return list.size() == 1; }
  uint32_t last() const { return static_cast<uint32_t>(list.size()) - 1; }
};

// Whether a node takes its value from outside of the graph or is known beforehand.
bool is_leaf(const Node &node);
// Whether a gradient passes through an op at all.
bool passes_gradient(const Node &node);

// The convolutions that run outside of MPSGraph are those for which `hybrid` is true.
Parts cut_into_parts(const ProgramDescription &program, const std::vector<bool> &hybrid);

// The values that a part takes from earlier ones.
std::vector<uint32_t> taken_by(const Graph &graph, const Parts &parts, uint32_t part);
// The parts that need a value of another part, in order; the last one takes what is reported.
std::vector<uint32_t> takers_of(const ProgramDescription &program, const Parts &parts,
                                uint32_t value);
// Those of them through which a gradient comes back to the value.
std::vector<uint32_t> gradient_takers_of(const Graph &graph, const Parts &parts, uint32_t value);

}  // namespace onestep
