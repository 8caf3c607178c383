// Device memory.
#pragma once

#include "device.h"

struct onestep_buffer : onestep::Counted {
  onestep::Handle<onestep_device> device;
  onestep::Ref<id<MTLBuffer>> metal;
  uint64_t bytes = 0;
  onestep_storage storage = ONESTEP_STORAGE_SHARED;
};

namespace onestep {

Status create_buffer(onestep_device *device, uint64_t bytes, onestep_storage storage,
                     Handle<onestep_buffer> *out);
Status write_buffer(onestep_buffer &buffer, uint64_t offset, const void *data, uint64_t bytes);
Status read_buffer(onestep_buffer &buffer, uint64_t offset, void *data, uint64_t bytes);
Status fill_buffer(onestep_buffer &buffer, uint64_t offset, uint64_t bytes, uint8_t value);

// Whether `bytes` from `offset` on lie within the buffer; `what` names it in the failure.
Status check_range(const onestep_buffer *buffer, uint64_t offset, uint64_t bytes, const char *what);

}  // namespace onestep
