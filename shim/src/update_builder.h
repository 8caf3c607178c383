// The compiled graph that updates parameters and optimizer state.
#pragma once

#include "copy_stage.h"
#include "description.h"
#include "node_emitter.h"

namespace onestep {

// A new value of parameters or optimizer state.
struct Update {
  uint32_t value;       // what it becomes
  onestep_op leaf;      // PARAMETER or OPTIMIZER_STATE
  Place old_place, new_place;
};

// All updates of the groups of a program.
std::vector<Update> updates_of(const ProgramDescription &program);

// Whether a result may be bound to the memory that it replaces: every node that reads the old value
// stands no later in the graph than the one that makes the new value.
bool safe_in_place(const Graph &graph, const Update &update);

// Compiles the update. New values go to their new places.
Status build_update(const ProgramDescription &program, const LeafContext &leaves,
                    std::unique_ptr<Executable> *out);

}  // namespace onestep
