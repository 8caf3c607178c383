#include "queue.h"

#include "guard.h"
#include "optimizer_cache.h"

using namespace onestep;

onestep_queue::onestep_queue() : optimizers(new OptimizerCache) {}
onestep_queue::~onestep_queue() = default;

namespace onestep {

Status create_queue(onestep_device *device, uint32_t in_flight, Handle<onestep_queue> *out) {
  if (in_flight > kMostInFlight) {
    return failure(ONESTEP_INVALID_ARGUMENT, "at most %u steps in flight, got %u", kMostInFlight,
                   in_flight);
  }
  auto queue = Handle<onestep_queue>::adopt(new onestep_queue);
  queue->device = Handle<onestep_device>(device);
  queue->places = in_flight == 0 ? kDefaultInFlight : in_flight;
  queue->metal = Ref<id<MTLCommandQueue>>::adopt([device->metal.get() newCommandQueue]);
  if (!queue->metal) return failure(ONESTEP_OUT_OF_MEMORY, "the device gave no command queue");
  queue->open_places(queue->places);
  *out = std::move(queue);
  return ok();
}

}  // namespace onestep

void onestep_queue::open_places(uint32_t count) {
  free_.reserve(count);  // giving a place back never allocates
  for (uint32_t place = 0; place < count; place++) {
    flights_.push_back(std::make_unique<Flight>());
    flights_.back()->place = place;
    free_.push_back(flights_.back().get());
  }
}

Status onestep_queue::check_poison(bool changes_state) {
  if (!poisoned_ || !changes_state) return ok();
  return failure(ONESTEP_POISONED,
                 "an earlier step failed, so the state is unknown until it is restored and the "
                 "queue is told to recover: %s",
                 poison_message_.c_str());
}

Status onestep_queue::enter(bool changes_state, Flight **out) {
  std::unique_lock<std::mutex> lock(lock_);
  if (free_.empty()) device->counters.waits++;
  changed_.wait(lock, [this] { return !free_.empty(); });
  // After the wait: the step that made room may be the one that failed.
  ONESTEP_TRY(check_poison(changes_state));
  *out = free_.back();
  free_.pop_back();
  device->counters.enter_flight();
  return ok();
}

void onestep_queue::leave(Flight &flight) {
  // The owner may be the last to hold the queue: it goes when the place is free and no lock held.
  Handle<onestep_queue> alive(this);
  Handle<Counted> owner = flight.clear();
  std::lock_guard<std::mutex> lock(lock_);
  free_.push_back(&flight);
  device->counters.in_flight--;
  changed_.notify_all();
}

void onestep_queue::poison(const char *message) {
  std::lock_guard<std::mutex> lock(lock_);
  if (poisoned_) return;
  poisoned_ = true;
  poison_message_ = message;
}

Status onestep_queue::submit(bool changes_state, const Notice &notice, const Encode &encode,
                             Submitted *out) {
  device->counters.native_calls++;
  std::lock_guard<std::mutex> order(encode_lock_);
  Flight *flight = nullptr;
  ONESTEP_TRY(enter(changes_state, &flight));
  Commands commands(*this, *flight);
  flight->begin();
  flight->changes_state = changes_state;
  flight->notice = notice;
  Handle<onestep_ticket> ticket;
  if (notice.want_ticket) {
    ticket = Handle<onestep_ticket>::adopt(new onestep_ticket(device.get(), next_serial_));
    flight->ticket = ticket;
  }
  ONESTEP_TRY(encode(commands, *flight));
  ONESTEP_TRY(commands.finish());
  out->serial = next_serial_++;
  out->ticket = ticket.detach();
  return ok();
}

// Tells the ticket and the callback how a step ended.
void onestep_queue::tell(Flight &flight) {
  Status status = flight.take_failure();
  if (status && flight.changes_state) poison(status->message.c_str());
  if (!status) {
    std::lock_guard<std::mutex> lock(lock_);
    status = check_poison(flight.changes_state);
  }
  float values[ONESTEP_MAX_REPORTS];
  uint64_t count = status ? 0 : flight.read_reports(values);
  int32_t code = onestep_status_code(status.get());
  const char *message = onestep_status_message(status.get());
  if (flight.ticket) complete_ticket(*flight.ticket.get(), code, message, values, count);
  const Notice &notice = flight.notice;
  if (notice.on_complete) {
    notice.on_complete(notice.context, notice.tag, code, message, values, count);
  }
}

void onestep_queue::finish(Flight &flight) {
  // Runs on a thread of the platform, into which nothing may be thrown.
  onestep_status_release(entry([this, &flight]() -> Status {
    tell(flight);
    return ok();
  }));
  leave(flight);
}

void onestep_queue::wait_idle() {
  std::unique_lock<std::mutex> lock(lock_);
  auto idle = [this] { return free_.size() == places; };
  if (!idle()) device->counters.waits++;
  changed_.wait(lock, idle);
}

void onestep_queue::recover() {
  wait_idle();
  std::lock_guard<std::mutex> lock(lock_);
  poisoned_ = false;
  poison_message_.clear();
}

namespace onestep {

Status Commands::current(MPSCommandBuffer **out) {
  if (!current_) {
    MPSCommandBuffer *fresh =
        [MPSCommandBuffer commandBufferFromCommandQueue:queue_.metal.get()];
    if (!fresh) return failure(ONESTEP_OUT_OF_MEMORY, "the device gave no command buffer");
    current_ = Ref<MPSCommandBuffer *>(fresh);
    watch_root(fresh);
  }
  *out = current_.get();
  return ok();
}

void Commands::watch_root(MPSCommandBuffer *commands) {
  // MPSGraph may commit what was encoded so far and go on in a command buffer of its own; a failure
  // of the first part would go unseen by the handler of the last.
  Flight *flight = &flight_;
  uint64_t generation = flight_.generation();
  Handle<onestep_queue> alive(&queue_);
  [[commands rootCommandBuffer] addCompletedHandler:^(id<MTLCommandBuffer> done) {
    (void)alive;
    if ([done status] != MTLCommandBufferStatusError) return;
    onestep_status_release(entry([&]() -> Status {
      flight->note_failure(generation, [done error]);
      return ok();
    }));
  }];
}

void Commands::commit_current(bool last) {
  Flight *flight = &flight_;
  Handle<onestep_queue> queue(&queue_);
  [current_.get() addCompletedHandler:^(id<MTLCommandBuffer> done) {
    @autoreleasepool {
      bool failed = [done status] != MTLCommandBufferStatusCompleted;
      if (flight->commands_done([done error], failed)) queue->finish(*flight);
    }
  }];
  flight_.add_commands();
  // Sealed before the commit, so that it is always the handler that finishes the step: a callback
  // never runs inside the caller's own call.
  if (last) flight_.seal();
  sealed_ = last;
  committed_ = true;
  [current_.get() commit];
  queue_.device->counters.command_buffers++;
  current_ = Ref<MPSCommandBuffer *>();
}

void Commands::commit() {
  if (current_) commit_current(false);
}

Status Commands::finish() {
  MPSCommandBuffer *last = nil;
  ONESTEP_TRY(current(&last));
  commit_current(true);
  return ok();
}

Commands::~Commands() {
  if (sealed_) return;
  if (!committed_) {
    queue_.leave(flight_);
    return;
  }
  // A part of a split step runs already. Nobody is told of it; what it leaves behind is unknown.
  flight_.notice = Notice();
  flight_.ticket = Handle<onestep_ticket>();
  if (flight_.changes_state) queue_.poison("a step broke off halfway");
  if (flight_.seal()) queue_.finish(flight_);
}

}  // namespace onestep
