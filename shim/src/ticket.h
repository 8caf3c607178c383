// Claims on the scalars of steps.
#pragma once

#include <condition_variable>
#include <mutex>

#include "device.h"

struct onestep_ticket : onestep::Counted {
  onestep_ticket(onestep_device *device, uint64_t serial) : device(device), serial(serial) {}

  const onestep::Handle<onestep_device> device;
  const uint64_t serial;
  std::mutex lock;
  std::condition_variable changed;
  // Under the lock:
  bool done = false;
  int32_t code = ONESTEP_OK;
  std::string message;
  uint32_t value_count = 0;
  float values[ONESTEP_MAX_REPORTS] = {};
};

namespace onestep {

// Completes a ticket and wakes those who wait for it.
void complete_ticket(onestep_ticket &ticket, int32_t code, const char *message,
                     const float *values, uint64_t count);
Status poll_ticket(onestep_ticket &ticket, onestep_ticket_result *result);
Status wait_for_ticket(onestep_ticket &ticket, uint64_t timeout_ms, onestep_ticket_result *result);

}  // namespace onestep
