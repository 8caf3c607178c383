// What MPSNDArray and MPSGraphTensorData refer to: a type over a part of an allocation.
#pragma once
#include "array.h"
#include "storage.h"

struct HeadlessNDArray {
  headless::Type type;  // slowest axis first, as in MPSGraph's shapes
  std::shared_ptr<headless::Storage> storage;
  size_t offset = 0;  // bytes
  id owner = nil;     // retained: the MPSNDArray or, for arrays over a buffer, the buffer
  bool owns_storage = false;
  NSString *label = nil;

  // The elements themselves, not a copy. The memory lives as long as the result.
  headless::Array view() const;
  size_t bytes() const {
    return (size_t)headless::elements(type.shape) * headless::size_of(type.dtype);
  }
};
