// A program as it was described, copied and checked.
#pragma once

#include "graph.h"
#include "queue.h"

namespace onestep {

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
  // The whole step.
  Graph graph;
  std::vector<StateDescription> states;
  std::vector<OutputDescription> outputs;
  // Values that are reported.
  std::vector<uint32_t> reports;
  // The bytes of each feed.
  std::vector<uint64_t> feed_bytes;
  uint64_t scalar_count = 0;
  uint64_t flops_per_command_buffer = 0;
  onestep_convolution_path convolution_path = ONESTEP_CONVOLUTION_GRAPH;

  bool trains() const { return mode == ONESTEP_TRAIN; }
};

// Copies and checks the description of a program.
Status read_program(const onestep_program_args &args, ProgramDescription *out);

}  // namespace onestep
