// Counters, faults, options and assertions that all other files use.
#pragma once
#include <headless.h>
#include <atomic>
#include <string>

extern "C" void headless_runtime_init(void);

namespace headless {

// Prints the message as Apple's frameworks do and aborts the process: what a validation layer or
// the MPSGraph compiler does with a program that is wrong.
[[noreturn]] void fail_assertion(const std::string &message);

// True if the event that is about to happen was ordered to fail.
bool take_fault(headless_fault kind);

struct Counters {
  std::atomic<uint64_t> allocations{0}, allocated_bytes{0}, compiles{0}, command_buffers{0},
      executable_encodes{0}, blit_encoders{0}, kernel_encodes{0}, waits{0}, host_copies{0},
      completed{0}, failed{0}, poisoned{0}, in_flight{0}, max_in_flight{0};
};
Counters &counters();

uint64_t memory_limit();
bool commit_and_continue();
// Sleeps for the random delay that was asked for.
void delay_completion();

}  // namespace headless
