#include "storage.h"

#include "runtime.h"
#include <map>
#include <mutex>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

namespace headless {
namespace {

// All storage that is alive, by number.
struct Registry {
  std::mutex mutex;
  std::map<uint64_t, Storage *> live;
  uint64_t bytes = 0, next = 1;
};

Registry &registry() {
  static Registry *const instance = new Registry;
  return *instance;
}

uint64_t next_number() {
  std::lock_guard<std::mutex> lock(registry().mutex);
  return registry().next++;
}

// Zeroed memory that starts at a page, as Metal's does: callers rely on its alignment.
uint8_t *zeroed_page(size_t length) {
  const size_t page = 4096;
  void *bytes = nullptr;
  if (posix_memalign(&bytes, page, length ? length : 1) != 0) return nullptr;
  memset(bytes, 0, length);
  return (uint8_t *)bytes;
}

}  // namespace

std::shared_ptr<Storage> Storage::allocate(size_t length, MTLStorageMode mode) {
  if (take_fault(HEADLESS_FAULT_ALLOCATION)) return nullptr;
  const uint64_t limit = memory_limit();
  if (limit != 0 && live_bytes() + length > limit) return nullptr;
  ++counters().allocations;
  counters().allocated_bytes += length;
  return std::shared_ptr<Storage>(new Storage(length, mode));
}

Storage::Storage(size_t length, MTLStorageMode mode)
    : bytes_(zeroed_page(length)),
      length_(length),
      mode_(mode),
      number_(next_number()) {
  if (!bytes_) fail_assertion("the host is out of memory");
  std::lock_guard<std::mutex> lock(registry().mutex);
  registry().live[number_] = this;
  registry().bytes += length_;
}

Storage::~Storage() {
  {
    std::lock_guard<std::mutex> lock(registry().mutex);
    registry().live.erase(number_);
    registry().bytes -= length_;
  }
  free(bytes_);
}

void Storage::release_owner() {
  released_ = true;
  if (users_ == 0) return;
  ++counters().poisoned;
  fprintf(stderr,
          "headless: buffer %llu (%zu bytes, \"%s\") was released while a command buffer used it\n",
          (unsigned long long)number_, length_, label_.c_str());
  memset(bytes_, 0xff, length_);  // NaN in every floating-point type
}

uint64_t live_bytes() {
  std::lock_guard<std::mutex> lock(registry().mutex);
  return registry().bytes;
}

}  // namespace headless

uint64_t headless_live_bytes(void) { return headless::live_bytes(); }

uint64_t headless_live_allocations(void) {
  std::lock_guard<std::mutex> lock(headless::registry().mutex);
  return headless::registry().live.size();
}

void headless_report_live(void) {
  std::lock_guard<std::mutex> lock(headless::registry().mutex);
  for (const auto &[number, storage] : headless::registry().live) {
    fprintf(stderr, "headless: live allocation %llu: %zu bytes \"%s\"\n",
            (unsigned long long)number, storage->length(), storage->label().c_str());
  }
}
