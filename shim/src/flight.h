// One step in flight: what must live until the device is done with it, and what happens then.
#pragma once

#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

#include <mutex>
#include <string>
#include <vector>

#include "buffer.h"
#include "ticket.h"

namespace onestep {

// How a call wants to hear of its step.
struct Notice {
  onestep_completion on_complete = nullptr;
  void *context = nullptr;
  uint64_t tag = 0;
  bool want_ticket = false;
};

// Where the scalars of a step are read from when it is done: a shared buffer of f32.
struct ReportSource {
  Ref<id<MTLBuffer>> buffer;
  uint64_t count = 0;
};

// A place in flight. The queue has as many as steps may be in flight, and uses them again.
class Flight {
 public:
  uint32_t place = 0;

  // --- Set while the step is encoded, by one thread. ---
  // Whether a failure leaves state behind that nobody knows.
  bool changes_state = false;
  Notice notice;
  Handle<onestep_ticket> ticket;
  // What the device uses until the step is done.
  Handle<Counted> owner;
  std::vector<Handle<onestep_buffer>> buffers;
  Ref<NSMutableArray *> objects;
  ReportSource reports;

  // Starts a step; what the last one left behind is gone.
  void begin();
  // A command buffer of the step is about to be committed.
  void add_commands();
  // No further command buffer follows. True when all that were counted are done.
  bool seal();
  // A command buffer that was counted is done. True when it was the last of a sealed step.
  bool commands_done(NSError *error, bool failed);
  // Notes the failure of a command buffer that the platform committed by itself.
  void note_failure(uint64_t generation, NSError *error);
  uint64_t generation();

  // The first failure of the step, null if there is none.
  Status take_failure();
  // The scalars of a finished step.
  uint64_t read_reports(float *out) const;
  // Lets go of everything. Returns the owner, which the caller releases when it holds no lock.
  Handle<Counted> clear();

 private:
  void record(NSError *error);

  std::mutex lock_;
  uint64_t generation_ = 0;
  uint32_t outstanding_ = 0;
  bool sealed_ = false;
  int32_t code_ = ONESTEP_OK;
  std::string message_;
};

}  // namespace onestep
