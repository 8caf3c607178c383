#include "runtime.h"

#include <chrono>
#include <mutex>
#include <random>
#include <stdio.h>
#include <stdlib.h>
#include <thread>

namespace headless {
namespace {

uint64_t number_from_environment(const char *name) {
  const char *text = getenv(name);
  return text ? strtoull(text, nullptr, 10) : 0;
}

struct Fault {
  std::atomic<uint64_t> at, events{0};
  explicit Fault(const char *variable) : at(number_from_environment(variable)) {}
};

struct Options {
  Fault faults[3] = {Fault("HEADLESS_FAIL_ALLOCATION"), Fault("HEADLESS_FAIL_COMPILE"),
                     Fault("HEADLESS_FAIL_COMMIT")};
  std::atomic<uint64_t> memory_limit{number_from_environment("HEADLESS_MEMORY_LIMIT")};
  std::atomic<uint64_t> delay{number_from_environment("HEADLESS_DELAY_US")};
  std::atomic<bool> commit_and_continue{number_from_environment("HEADLESS_COMMIT_AND_CONTINUE") !=
                                        0};
  std::mutex random_mutex;
  std::mt19937_64 random{number_from_environment("HEADLESS_SEED")};
};

Options &options() {
  // Never destroyed: worker threads may outlive static destruction.
  static Options *const instance = new Options;
  return *instance;
}

}  // namespace

void fail_assertion(const std::string &message) {
  fprintf(stderr, "headless: failed assertion: %s\n", message.c_str());
  fflush(stderr);
  abort();
}

bool take_fault(headless_fault kind) {
  Fault &fault = options().faults[kind];
  return ++fault.events == fault.at.load();
}

Counters &counters() {
  static Counters *const instance = new Counters;
  return *instance;
}

uint64_t memory_limit() { return options().memory_limit; }

bool commit_and_continue() { return options().commit_and_continue; }

void delay_completion() {
  Options &all = options();
  const uint64_t most = all.delay;
  if (most == 0) return;
  uint64_t microseconds;
  {
    std::lock_guard<std::mutex> lock(all.random_mutex);
    microseconds = all.random() % (most + 1);
  }
  std::this_thread::sleep_for(std::chrono::microseconds(microseconds));
}

}  // namespace headless

using headless::counters;
using headless::options;

void headless_read_counters(headless_counters *out) {
  const headless::Counters &now = counters();
  out->allocations = now.allocations;
  out->allocated_bytes = now.allocated_bytes;
  out->compiles = now.compiles;
  out->command_buffers = now.command_buffers;
  out->executable_encodes = now.executable_encodes;
  out->blit_encoders = now.blit_encoders;
  out->kernel_encodes = now.kernel_encodes;
  out->waits = now.waits;
  out->host_copies = now.host_copies;
  out->completed = now.completed;
  out->failed = now.failed;
  out->poisoned = now.poisoned;
  out->max_in_flight = now.max_in_flight;
}

void headless_reset_counters(void) {
  headless::Counters &now = counters();
  for (std::atomic<uint64_t> *counter :
       {&now.allocations, &now.allocated_bytes, &now.compiles, &now.command_buffers,
        &now.executable_encodes, &now.blit_encoders, &now.kernel_encodes, &now.waits,
        &now.host_copies, &now.completed, &now.failed, &now.poisoned}) {
    *counter = 0;
  }
  now.max_in_flight = now.in_flight.load();
}

void headless_fail(headless_fault kind, uint64_t k) {
  options().faults[kind].events = 0;
  options().faults[kind].at = k;
}

uint64_t headless_fault_events(headless_fault kind) { return options().faults[kind].events; }

void headless_set_memory_limit(uint64_t bytes) { options().memory_limit = bytes; }

void headless_set_commit_and_continue(int on) { options().commit_and_continue = on != 0; }

void headless_set_delay(uint64_t microseconds) { options().delay = microseconds; }
