#include "bindings.h"

#include <algorithm>

namespace onestep {

onestep_buffer *StepBuffers::find(Place place) const {
  switch (place.source) {
    case Source::Feed:
      if (tensors) return tensors[place.a].gradient;
      return feeds ? feeds[place.a] : nullptr;
    case Source::Output: return outputs ? outputs[place.a] : nullptr;
    case Source::State: {
      if (!tensors) return nullptr;
      const onestep_optimizer_tensor &tensor = tensors[place.a / kStatesOfTensor];
      uint32_t kind = place.a % kStatesOfTensor;
      return kind == 0 ? tensor.parameter : tensor.states[kind - 1];
    }
    default: return nullptr;
  }
}

void Bindings::bind(Place place, id<MTLBuffer> buffer) {
  buffers_[place] = {Ref<id<MTLBuffer>>(buffer)};
}

Status Bindings::allocate_one(uint64_t bytes, onestep_storage storage, Place place) {
  Ref<id<MTLBuffer>> buffer;
  bytes = std::max<uint64_t>((bytes + 3) / 4 * 4, 4);  // blits copy multiples of 4 bytes
  ONESTEP_TRY(device_->allocate(bytes, storage, &buffer));
  buffers_[place].push_back(std::move(buffer));
  bytes_ += bytes;
  return ok();
}

Status Bindings::allocate(Place place, uint64_t bytes) {
  if (has(place)) return ok();
  return allocate_one(bytes, ONESTEP_STORAGE_PRIVATE, place);
}

Status Bindings::allocate_in_flight(Place place, uint64_t bytes) {
  if (has(place)) return ok();
  for (uint32_t i = 0; i < in_flight_; i++) {
    ONESTEP_TRY(allocate_one(bytes, ONESTEP_STORAGE_SHARED, place));
  }
  return ok();
}

id<MTLBuffer> Bindings::at(Place place, uint32_t in_flight) const {
  auto found = buffers_.find(place);
  if (found == buffers_.end()) return nil;
  const auto &buffers = found->second;
  return buffers[std::min<size_t>(in_flight, buffers.size() - 1)].get();
}

MPSNDArray *Bindings::array_at(Place place) const {
  auto found = arrays_.find(place);
  return found == arrays_.end() ? nil : found->second.get();
}

uint32_t Bindings::variants(Place place) const {
  auto found = buffers_.find(place);
  return found == buffers_.end() ? 0 : static_cast<uint32_t>(found->second.size());
}

}  // namespace onestep
