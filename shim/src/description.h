// A program as it was described, copied and checked.
#pragma once

#include "graph.h"
#include "queue.h"

namespace onestep {

struct GroupDescription {
  Handle<onestep_buffer> parameter, gradient;  // no gradient: the program allocates it
  uint64_t elements = 0;
  std::vector<Handle<onestep_buffer>> states;
  std::vector<uint32_t> new_states;
  uint32_t new_parameter = ONESTEP_NO_VALUE;
};

struct StateDescription {
  Handle<onestep_buffer> buffer;
  uint32_t new_value = ONESTEP_NO_VALUE;
};

struct OutputDescription {
  Handle<onestep_buffer> buffer;  // none: the program allocates it
  uint32_t value = 0;
  uint64_t bytes = 0;
};

struct ProgramDescription {
  Handle<onestep_queue> queue;
  onestep_mode mode = ONESTEP_INFER;
  Graph forward, update;
  uint32_t loss = ONESTEP_NO_VALUE;
  std::vector<GroupDescription> groups;
  std::vector<StateDescription> states;
  std::vector<OutputDescription> outputs;
  // Values of the forward graph that are reported, the loss first; then those of the update graph.
  std::vector<uint32_t> reports, update_reports;
  // The bytes of each feed.
  std::vector<uint64_t> feed_bytes;
  uint64_t scalar_count = 0;
  uint64_t flops_per_command_buffer = 0;
  onestep_convolution_path convolution_path = ONESTEP_CONVOLUTION_GRAPH;
  onestep_update_binding update_binding = ONESTEP_UPDATE_IN_PLACE;

  bool trains() const { return mode == ONESTEP_TRAIN; }
  std::vector<uint64_t> group_elements() const;
};

// Copies and checks the description of a program.
Status read_program(const onestep_program_args &args, ProgramDescription *out);

}  // namespace onestep
