// Failures inside the shim: a Status is null on success, else owns code and message.
#pragma once

#include <memory>
#include <string>

#include "../include/onestep.h"

struct onestep_status {
  int32_t code;
  std::string message;
};

namespace onestep {

struct StatusRelease {
  void operator()(onestep_status *status) const { onestep_status_release(status); }
};
using Status = std::unique_ptr<onestep_status, StatusRelease>;

inline Status ok() { return Status(); }

// A failure with a message as printf would write it.
__attribute__((format(printf, 2, 3))) Status failure(onestep_code code, const char *format, ...);

// The failure of an allocation on the host, which itself allocates nothing.
Status host_out_of_memory();

}  // namespace onestep

// Returns the failure of an expression, if it is one.
#define ONESTEP_TRY(expression)                                  \
  do {                                                           \
    if (::onestep::Status status_ = (expression)) return status_; \
  } while (0)
