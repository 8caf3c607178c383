// Owners of reference-counted things: Ref for Objective-C objects, Handle for the shim's own.
#pragma once

#import <Foundation/Foundation.h>

#include <atomic>
#include <utility>

#if __has_feature(objc_arc)
#error "the shim retains and releases by hand: ARC does not exist on the Linux runtime"
#endif

namespace onestep {

// Retains an Objective-C object.
template <class T>
class Ref {
 public:
  Ref() = default;
  explicit Ref(T object) : object_([object retain]) {}
  Ref(const Ref &other) : object_([other.object_ retain]) {}
  Ref(Ref &&other) noexcept : object_(std::exchange(other.object_, T(nil))) {}
  Ref &operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() { [object_ release]; }

  // Takes over an object that the caller owns: the result of new, alloc, copy.
  static Ref adopt(T object) {
    Ref ref;
    ref.object_ = object;
    return ref;
  }
  T get() const { return object_; }
  explicit operator bool() const { return object_ != nil; }

 private:
  T object_ = nil;
};

// The base of everything behind a handle of the C interface.
class Counted {
 public:
  Counted() = default;
  Counted(const Counted &) = delete;
  Counted &operator=(const Counted &) = delete;
  virtual ~Counted() = default;
  void retain() { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

 private:
  std::atomic<long> references_{1};
};

// Retains a Counted.
template <class T>
class Handle {
 public:
  Handle() = default;
  explicit Handle(T *object) : object_(object) {
    if (object_) object_->retain();
  }
  Handle(const Handle &other) : Handle(other.object_) {}
  Handle(Handle &&other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Handle &operator=(Handle other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Handle() {
    if (object_) object_->release();
  }

  static Handle adopt(T *object) {
    Handle handle;
    handle.object_ = object;
    return handle;
  }
  T *get() const { return object_; }
  T *operator->() const { return object_; }
  explicit operator bool() const { return object_ != nullptr; }
  // Gives the reference away, as to a caller of the C interface.
  T *detach() { return std::exchange(object_, nullptr); }

 private:
  T *object_ = nullptr;
};

// Releases a handle of the C interface, whose last reference may release Objective-C objects.
template <class T>
void release_handle(T *object) {
  @autoreleasepool {
    if (object) object->release();
  }
}

}  // namespace onestep
