// An ordered queue of steps with a bounded number in flight.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "flight.h"

namespace onestep {

class OptimizerCache;

// The most places in flight that a queue can be given, and how many it has by default.
constexpr uint32_t kMostInFlight = 16;
constexpr uint32_t kDefaultInFlight = 3;

// What a call gives back.
struct Submitted {
  uint64_t serial = 0;
  onestep_ticket *ticket = nullptr;
};

// The command buffers of one step while it is encoded: one, unless the step is split. It owns the
// step's place in flight until the step is handed over to its completion, so that a step that is
// given up, by a status or by an exception, gives its place back.
class Commands {
 public:
  Commands(onestep_queue &queue, Flight &flight) : queue_(queue), flight_(flight) {}
  Commands(const Commands &) = delete;
  Commands &operator=(const Commands &) = delete;
  ~Commands();

  // The command buffer to encode into; a fresh one at the beginning and after commit().
  Status current(MPSCommandBuffer **out);
  // Commits what was encoded; the step goes on in a further command buffer.
  void commit();
  // Commits what was encoded as the last of the step.
  Status finish();

 private:
  void watch_root(MPSCommandBuffer *commands);
  void commit_current(bool last);

  onestep_queue &queue_;
  Flight &flight_;
  Ref<MPSCommandBuffer *> current_;
  bool committed_ = false;
  bool sealed_ = false;
};

// Encodes the work of a step. The flight is empty but for its place.
using Encode = std::function<Status(Commands &, Flight &)>;

}  // namespace onestep

struct onestep_queue : onestep::Counted {
  onestep_queue();
  ~onestep_queue() override;

  onestep::Handle<onestep_device> device;
  onestep::Ref<id<MTLCommandQueue>> metal;
  uint32_t places = onestep::kDefaultInFlight;
  std::unique_ptr<onestep::OptimizerCache> optimizers;

  // Runs one step: waits for a place in flight, encodes, commits. `changes_state` says whether a
  // failure poisons the queue.
  onestep::Status submit(bool changes_state, const onestep::Notice &notice,
                         const onestep::Encode &encode, onestep::Submitted *out);
  void wait_idle();
  void recover();
  // Makes the places in flight. Called once.
  void open_places(uint32_t count);

 private:
  friend class onestep::Commands;
  onestep::Status enter(bool changes_state, onestep::Flight **out);
  onestep::Status check_poison(bool changes_state);
  void poison(const char *message);
  // A step is done on the device, or was given up before anything of it was committed: its place
  // is free again.
  void finish(onestep::Flight &flight);
  void leave(onestep::Flight &flight);
  void tell(onestep::Flight &flight);

  std::mutex encode_lock_;  // one step is encoded at a time, in the order of its serial
  std::mutex lock_;
  std::condition_variable changed_;
  // Under lock_:
  std::vector<std::unique_ptr<onestep::Flight>> flights_;
  std::vector<onestep::Flight *> free_;
  uint64_t next_serial_ = 0;
  bool poisoned_ = false;
  std::string poison_message_;
};

namespace onestep {

Status create_queue(onestep_device *device, uint32_t in_flight, Handle<onestep_queue> *out);
Status submit_copies(onestep_copy_args &args);

}  // namespace onestep
