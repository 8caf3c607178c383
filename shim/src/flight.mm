#include "flight.h"

#include <algorithm>

namespace onestep {

void Flight::begin() {
  std::lock_guard<std::mutex> lock(lock_);
  generation_++;
  outstanding_ = 0;
  sealed_ = false;
  code_ = ONESTEP_OK;
  message_.clear();
  if (!objects) objects = Ref<NSMutableArray *>::adopt([[NSMutableArray alloc] init]);
}

void Flight::add_commands() {
  std::lock_guard<std::mutex> lock(lock_);
  outstanding_++;
}

bool Flight::seal() {
  std::lock_guard<std::mutex> lock(lock_);
  sealed_ = true;
  return outstanding_ == 0;
}

void Flight::record(NSError *error) {
  if (code_ != ONESTEP_OK) return;  // the first failure is the cause of the others
  Status status = command_buffer_failure(error);
  code_ = status->code;
  message_ = status->message;
}

bool Flight::commands_done(NSError *error, bool failed) {
  std::lock_guard<std::mutex> lock(lock_);
  if (failed) record(error);
  outstanding_--;
  return sealed_ && outstanding_ == 0;
}

void Flight::note_failure(uint64_t generation, NSError *error) {
  std::lock_guard<std::mutex> lock(lock_);
  if (generation == generation_) record(error);
}

uint64_t Flight::generation() {
  std::lock_guard<std::mutex> lock(lock_);
  return generation_;
}

Status Flight::take_failure() {
  std::lock_guard<std::mutex> lock(lock_);
  if (code_ == ONESTEP_OK) return ok();
  return failure(static_cast<onestep_code>(code_), "%s", message_.c_str());
}

uint64_t Flight::read_reports(float *out) const {
  if (!reports.buffer) return 0;
  const float *values = static_cast<const float *>([reports.buffer.get() contents]);
  std::copy(values, values + reports.count, out);
  return reports.count;
}

Handle<Counted> Flight::clear() {
  Handle<Counted> last = std::move(owner);
  owner = Handle<Counted>();
  ticket = Handle<onestep_ticket>();
  buffers.clear();
  reports = ReportSource();
  notice = Notice();
  [objects.get() removeAllObjects];
  return last;
}

}  // namespace onestep
