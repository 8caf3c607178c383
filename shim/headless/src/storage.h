// Device memory: what MTLBuffer, MPSNDArray and MPSImage hold.
#pragma once
#import <Metal/Metal.h>
#include <atomic>
#include <memory>
#include <stdint.h>
#include <string>

namespace headless {

// One allocation. Command buffers keep the bytes alive through `Storage::Use`, so that a buffer
// which is released too early is noticed and reported instead of crashing.
class Storage {
 public:
  // Zeroed memory, or null where a fault was ordered or the memory limit is reached.
  static std::shared_ptr<Storage> allocate(size_t length, MTLStorageMode mode);
  ~Storage();

  uint8_t *bytes() const { return bytes_; }
  size_t length() const { return length_; }
  MTLStorageMode mode() const { return mode_; }
  uint64_t number() const { return number_; }

  // Marks the end of the object that owned it. While a command buffer still uses the bytes they
  // are poisoned: on a device they could belong to somebody else by now.
  void release_owner();
  bool released() const { return released_; }

  void set_label(const std::string &label) { label_ = label; }
  const std::string &label() const { return label_; }

  // Held by a command buffer from encoding to completion.
  class Use {
   public:
    explicit Use(std::shared_ptr<Storage> storage) : storage_(std::move(storage)) {
      ++storage_->users_;
    }
    Use(const Use &other) : Use(other.storage_) {}
    Use &operator=(const Use &) = delete;
    ~Use() { --storage_->users_; }
    Storage &operator*() const { return *storage_; }
    Storage *operator->() const { return storage_.get(); }

   private:
    std::shared_ptr<Storage> storage_;
  };

 private:
  Storage(size_t length, MTLStorageMode mode);

  uint8_t *bytes_;
  const size_t length_;
  const MTLStorageMode mode_;
  const uint64_t number_;
  std::string label_;
  std::atomic<int> users_{0};
  std::atomic<bool> released_{false};
};

uint64_t live_bytes();

}  // namespace headless
