#include "ticket.h"

#include <algorithm>
#include <chrono>

namespace onestep {

namespace {

// What a ticket says; the caller holds its lock.
Status look(const onestep_ticket &ticket, onestep_ticket_result *result) {
  result->serial = ticket.serial;
  result->done = ticket.done ? 1 : 0;
  result->value_count = ticket.value_count;
  std::copy(ticket.values, ticket.values + ONESTEP_MAX_REPORTS, result->values);
  if (ticket.code == ONESTEP_OK) return ok();
  return failure(static_cast<onestep_code>(ticket.code), "%s", ticket.message.c_str());
}

}  // namespace

void complete_ticket(onestep_ticket &ticket, int32_t code, const char *message,
                     const float *values, uint64_t count) {
  std::lock_guard<std::mutex> lock(ticket.lock);
  ticket.done = true;
  ticket.code = code;
  ticket.message = message;
  ticket.value_count = static_cast<uint32_t>(std::min<uint64_t>(count, ONESTEP_MAX_REPORTS));
  std::copy(values, values + ticket.value_count, ticket.values);
  ticket.changed.notify_all();
}

Status poll_ticket(onestep_ticket &ticket, onestep_ticket_result *result) {
  std::lock_guard<std::mutex> lock(ticket.lock);
  return look(ticket, result);
}

Status wait_for_ticket(onestep_ticket &ticket, uint64_t timeout_ms,
                       onestep_ticket_result *result) {
  std::unique_lock<std::mutex> lock(ticket.lock);
  auto done = [&ticket] { return ticket.done; };
  if (!done()) ticket.device->counters.waits++;
  // A century is as good as for ever, and does not overflow the clock.
  constexpr uint64_t kForever = 100ull * 365 * 24 * 3600 * 1000;
  auto limit = std::chrono::milliseconds(std::min(timeout_ms, kForever));
  if (!ticket.changed.wait_for(lock, limit, done)) {
    return failure(ONESTEP_TIMED_OUT, "step %llu is not done after %llu ms",
                   static_cast<unsigned long long>(ticket.serial),
                   static_cast<unsigned long long>(timeout_ms));
  }
  return look(ticket, result);
}

}  // namespace onestep
