// What a command buffer has collected.
#pragma once
#include "metal.h"
#include <atomic>
#include <condition_variable>
#include <mutex>

namespace headless {

struct CommandBufferState {
  std::atomic<MTLCommandBufferStatus> status{MTLCommandBufferStatusNotEnqueued};
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::function<void()>> work;
  std::vector<Storage::Use> uses;
  std::vector<id> retained;
  std::vector<MTLCommandBufferHandler> scheduled_handlers, completed_handlers;  // copied blocks
  NSError *error = nil;
  double start_time = 0, end_time = 0;
  int open_encoders = 0;
  bool retaining = true;
  bool ordered_to_fail = false;
};

}  // namespace headless
