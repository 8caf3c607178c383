#include "buffer.h"

#include <algorithm>
#include <cstring>

namespace onestep {

namespace {

// Metal's blits into and out of a buffer want offsets and sizes that are multiples of 4.
constexpr uint64_t kBlitAlignment = 4;

uint64_t round_up(uint64_t bytes) {
  return (bytes + kBlitAlignment - 1) / kBlitAlignment * kBlitAlignment;
}

// The aligned window around a range of a private buffer, and a shared buffer of its size.
struct Window {
  uint64_t start, bytes, lead;
  Ref<id<MTLBuffer>> staging;
};

Status open_window(onestep_buffer &buffer, uint64_t offset, uint64_t bytes, Window *window) {
  window->start = offset / kBlitAlignment * kBlitAlignment;
  window->lead = offset - window->start;
  uint64_t end = std::min<uint64_t>(round_up(offset + bytes), [buffer.metal.get() length]);
  window->bytes = end - window->start;
  return buffer.device->allocate(window->bytes, ONESTEP_STORAGE_SHARED, &window->staging);
}

uint8_t *host(id<MTLBuffer> buffer) { return static_cast<uint8_t *>([buffer contents]); }

}  // namespace

Status create_buffer(onestep_device *device, uint64_t bytes, onestep_storage storage,
                     Handle<onestep_buffer> *out) {
  if (bytes == 0) return failure(ONESTEP_INVALID_ARGUMENT, "a buffer has at least 1 byte, got 0");
  if (bytes > UINT64_MAX - kBlitAlignment) {
    return failure(ONESTEP_OUT_OF_MEMORY, "no device has %llu bytes",
                   static_cast<unsigned long long>(bytes));
  }
  auto buffer = Handle<onestep_buffer>::adopt(new onestep_buffer);
  ONESTEP_TRY(device->allocate(round_up(bytes), storage, &buffer->metal));
  buffer->device = Handle<onestep_device>(device);
  buffer->bytes = bytes;
  buffer->storage = storage;
  *out = std::move(buffer);
  return ok();
}

Status check_range(const onestep_buffer *buffer, uint64_t offset, uint64_t bytes,
                   const char *what) {
  if (!buffer) return failure(ONESTEP_INVALID_ARGUMENT, "%s: the buffer is NULL", what);
  if (offset > buffer->bytes || bytes > buffer->bytes - offset) {
    return failure(ONESTEP_INVALID_ARGUMENT,
                   "%s: %llu bytes from %llu on, but the buffer has %llu bytes", what,
                   static_cast<unsigned long long>(bytes), static_cast<unsigned long long>(offset),
                   static_cast<unsigned long long>(buffer->bytes));
  }
  return ok();
}

Status write_buffer(onestep_buffer &buffer, uint64_t offset, const void *data, uint64_t bytes) {
  ONESTEP_TRY(check_range(&buffer, offset, bytes, "write"));
  if (bytes == 0) return ok();
  if (!data) return failure(ONESTEP_INVALID_ARGUMENT, "write: the data is NULL");
  buffer.device->counters.host_copies++;
  if (buffer.storage == ONESTEP_STORAGE_SHARED) {
    std::memcpy(host(buffer.metal.get()) + offset, data, bytes);
    return ok();
  }
  Window window;
  ONESTEP_TRY(open_window(buffer, offset, bytes, &window));
  id<MTLBuffer> staging = window.staging.get();
  if (window.bytes != bytes) {
    // What lies around the range within the window stays as it is.
    ONESTEP_TRY(buffer.device->copy_and_wait(buffer.metal.get(), window.start, staging, 0,
                                             window.bytes));
  }
  std::memcpy(host(staging) + window.lead, data, bytes);
  return buffer.device->copy_and_wait(staging, 0, buffer.metal.get(), window.start, window.bytes);
}

Status read_buffer(onestep_buffer &buffer, uint64_t offset, void *data, uint64_t bytes) {
  ONESTEP_TRY(check_range(&buffer, offset, bytes, "read"));
  if (bytes == 0) return ok();
  if (!data) return failure(ONESTEP_INVALID_ARGUMENT, "read: the target is NULL");
  buffer.device->counters.host_copies++;
  if (buffer.storage == ONESTEP_STORAGE_SHARED) {
    std::memcpy(data, host(buffer.metal.get()) + offset, bytes);
    return ok();
  }
  Window window;
  ONESTEP_TRY(open_window(buffer, offset, bytes, &window));
  id<MTLBuffer> staging = window.staging.get();
  ONESTEP_TRY(
      buffer.device->copy_and_wait(buffer.metal.get(), window.start, staging, 0, window.bytes));
  std::memcpy(data, host(staging) + window.lead, bytes);
  return ok();
}

Status fill_buffer(onestep_buffer &buffer, uint64_t offset, uint64_t bytes, uint8_t value) {
  ONESTEP_TRY(check_range(&buffer, offset, bytes, "fill"));
  if (bytes == 0) return ok();
  if (buffer.storage == ONESTEP_STORAGE_SHARED) {
    std::memset(host(buffer.metal.get()) + offset, value, bytes);
    return ok();
  }
  if (offset % kBlitAlignment || (bytes % kBlitAlignment && offset + bytes != buffer.bytes)) {
    return failure(ONESTEP_INVALID_ARGUMENT,
                   "fill: a private buffer is filled in multiples of 4 bytes, got %llu from %llu on",
                   static_cast<unsigned long long>(bytes),
                   static_cast<unsigned long long>(offset));
  }
  return buffer.device->fill_and_wait(buffer.metal.get(), offset, round_up(bytes), value);
}

}  // namespace onestep
