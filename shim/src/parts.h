// How the graph of a step is cut into parts. Most steps are one part: one compiled graph. A step that is
// too long for a command buffer, or whose convolutions run outside of MPSGraph, has several; what passes
// from one to another lies in memory in between, and nothing is computed twice.
#pragma once

#include <map>

#include "description.h"
#include "outside.h"
#include "place.h"

namespace onestep {

struct Part {
  // What its compiled graph computes, ascending. Leaves and views of values (reshaped, repeated, cut
  // out, transposed) are not among them: each part makes those that it needs for itself.
  std::vector<uint32_t> nodes;
  uint64_t flops = 0;
  // The convolution that runs behind the graph, if any, and which of its passes.
  uint32_t convolution = kNoConvolution;
  bool backward = false;
  uint64_t convolution_flops = 0;
};

// The part of a leaf or a view.
constexpr uint32_t kNoPart = UINT32_MAX;

struct Parts {
  std::vector<Part> list;
  std::vector<uint32_t> part_of;
  std::vector<OutsideConvolution> convolutions;
  // The values that convolutions outside of the graph compute, with the place where each is left.
  std::map<uint32_t, Place> outside;

  uint32_t last() const { return static_cast<uint32_t>(list.size()) - 1; }
  // Whether a value is made by another stage than the graph of `part`.
  bool is_taken(uint32_t value, uint32_t part) const {
    uint32_t from = part_of[value];
    return from != kNoPart && (from != part || outside.count(value));
  }
  // The part whose graph writes what is asked for of a value.
  uint32_t home_of(uint32_t value) const {
    bool own = part_of[value] != kNoPart && !outside.count(value);
    return own ? part_of[value] : last();
  }
};

// Everything that a program gives back.
std::vector<uint32_t> targets_of(const ProgramDescription &program);

// Cuts the step before each convolution outside of the graph, and before the node that would bring the
// work of a part above the limit of a command buffer.
Parts cut_into_parts(const ProgramDescription &program);

// The values that a part needs: its nodes, the operands of its convolution, and what it gives back.
std::vector<uint32_t> wanted_of(const ProgramDescription &program, const Parts &parts,
                                uint32_t part);

// For each value whether it passes from one part to another.
std::vector<bool> crossing(const ProgramDescription &program, const Parts &parts);

}  // namespace onestep
