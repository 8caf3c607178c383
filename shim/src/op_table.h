// What ONESTEP_OPS (onestep.h) says of each op.
#pragma once

#include "graph.h"

namespace onestep {

struct OpInfo {
  const char *name;
  uint32_t code;
  uint32_t least_inputs, most_inputs;
};

// The op of a code, or null.
const OpInfo *find_op(uint32_t code);

}  // namespace onestep
