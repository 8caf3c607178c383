// The queue's thread: it executes command buffers one after the other, in the order in which they
// were enqueued or committed.
#pragma once
#include "metal.h"
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace headless {

struct QueueState {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<HeadlessCommandBuffer *> order;  // retained
  bool stop = false;
  std::thread thread;
};

// Reserves the command buffer's place, once.
void reserve_place(HeadlessQueue *queue, HeadlessCommandBuffer *command_buffer);
// Wakes the thread after a command buffer became ready.
void wake(HeadlessQueue *queue);

}  // namespace headless
