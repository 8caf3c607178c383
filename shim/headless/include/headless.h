// What only the headless implementation has: counters, faults and the clock of its device. Tests
// call these; the shim does not. Every function may be called from any thread.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Everything is counted since the start or the last headless_reset_counters.
typedef struct headless_counters {
  uint64_t allocations;         // Metal allocations: buffers, images, arrays, queues
  uint64_t allocated_bytes;     // of those
  uint64_t compiles;            // executables compiled
  uint64_t command_buffers;     // command buffers committed
  uint64_t executable_encodes;  // executables encoded
  uint64_t blit_encoders;       // blit encoders opened
  uint64_t kernel_encodes;  // kernels encoded: MPS convolutions, copies between arrays and images, own
  uint64_t waits;           // waitUntilCompleted, waitUntilScheduled, blocking runs
  uint64_t host_copies;     // readBytes and writeBytes of arrays and images
  uint64_t completed;       // command buffers completed, failed ones included
  uint64_t failed;          // command buffers that ended with an error
  uint64_t poisoned;        // buffers released while a command buffer still used them
  uint64_t max_in_flight;   // most command buffers committed and not completed at one time
} headless_counters;

void headless_read_counters(headless_counters *out);
void headless_reset_counters(void);

// Metal memory that is alive now. Zero after everything is released, else there is a leak.
uint64_t headless_live_allocations(void);
uint64_t headless_live_bytes(void);
// Writes one line for each live buffer (its label, length and number) to stderr.
void headless_report_live(void);

// What can be made to fail.
typedef enum headless_fault {
  HEADLESS_FAULT_ALLOCATION = 0,  // a new… of Metal or an init… of an array or image returns nil
  HEADLESS_FAULT_COMPILE = 1,     // compileWithDevice:… returns nil
  HEADLESS_FAULT_COMMIT = 2,      // the command buffer does nothing and ends with an error
} headless_fault;

// The k-th event of that kind from now on (1 is the next) fails, once; 0 takes the order back.
void headless_fail(headless_fault kind, uint64_t k);
// How many events of that kind there were since the last headless_fail of the kind.
uint64_t headless_fault_events(headless_fault kind);

// Bytes of device memory; an allocation above it fails. 0 is no limit.
void headless_set_memory_limit(uint64_t bytes);
// While on, every encode of an executable commits the command buffer and continues in a new one.
void headless_set_commit_and_continue(int on);
// Each command buffer completes up to so many microseconds later than it could. 0 is none.
void headless_set_delay(uint64_t microseconds);

#ifdef __cplusplus
}
#endif
