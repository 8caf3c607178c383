// The compiled optimizer steps of a queue.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "copy_stage.h"
#include "executable.h"

namespace onestep {

// A compiled update of tensors that are given at each call.
class OptimizerStep : public Counted {
 public:
  OptimizerStep(onestep_device *device, uint32_t in_flight, size_t scalar_count)
      : bindings(device, in_flight), scalar_count(scalar_count) {}

  Bindings bindings;
  const size_t scalar_count;
  std::unique_ptr<Executable> executable;
  // From the new values to the buffers of the call.
  CopyStage copies;
};

// Steps by their rule, options that change the graph, and lengths. Numbers such as the learning
// rate are inputs, so that they never compile anything anew.
class OptimizerCache {
 public:
  std::mutex lock;
  std::map<std::string, Handle<OptimizerStep>> steps;
};

}  // namespace onestep
