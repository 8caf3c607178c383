// Where each place lies: the caller's buffers and those of the program.
#pragma once

#import <MetalPerformanceShadersGraph/MetalPerformanceShadersGraph.h>

#include <map>
#include <vector>

#include "buffer.h"
#include "graph.h"
#include "optimizer_rules.h"
#include "place.h"

namespace onestep {

// The memory of a step that changes from call to call.
struct StepBuffers {
  onestep_buffer *const *feeds = nullptr;
  onestep_buffer *const *outputs = nullptr;
  // Of the optimizer calls: each tensor's gradient is a feed, its parameter and what the optimizer keeps
  // are states.
  const onestep_optimizer_tensor *tensors = nullptr;

  // The buffer of a place, or null where the call does not give it.
  onestep_buffer *find(Place place) const;
};

class Bindings {
 public:
  // `in_flight` is the number of places in flight of the queue.
  Bindings(onestep_device *device, uint32_t in_flight) : device_(device), in_flight_(in_flight) {}

  // A place of one buffer for all steps.
  void bind(Place place, id<MTLBuffer> buffer);
  // A place in an array of Metal's own layout, in which kernels beside the graph read and write.
  void bind_array(Place place, MPSNDArray *array) { arrays_[place] = Ref<MPSNDArray *>(array); }
  // The array of a place; nil for a place in a buffer.
  MPSNDArray *array_at(Place place) const;
  // A place that the program allocates, as private memory.
  Status allocate(Place place, uint64_t bytes);
  // A place that the program allocates once for each step in flight, as shared memory.
  Status allocate_in_flight(Place place, uint64_t bytes);

  bool has(Place place) const { return buffers_.count(place) != 0; }
  // The buffer of a place for a step in flight; nil where the call gives it.
  id<MTLBuffer> at(Place place, uint32_t in_flight) const;
  // The places in flight for which `at` differs: 1, or as many as there are.
  uint32_t variants(Place place) const;
  // What the program allocated.
  uint64_t bytes() const { return bytes_; }

 private:
  Status allocate_one(uint64_t bytes, onestep_storage storage, Place place);

  onestep_device *device_;
  uint32_t in_flight_;
  std::map<Place, std::vector<Ref<id<MTLBuffer>>>> buffers_;
  std::map<Place, Ref<MPSNDArray *>> arrays_;
  uint64_t bytes_ = 0;
};

}  // namespace onestep
