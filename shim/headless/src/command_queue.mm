#include "command_queue.h"

#include "runtime.h"
#include <algorithm>

// GNUstep's, for threads that it has not made.
extern "C" BOOL GSRegisterCurrentThread(void);
extern "C" void GSUnregisterCurrentThread(void);

namespace headless {
namespace {

// The next command buffer when it is committed, or nil when the queue is gone.
HeadlessCommandBuffer *next_command_buffer(QueueState &state) {
  std::unique_lock<std::mutex> lock(state.mutex);
  state.changed.wait(lock, [&] {
    return state.stop || (!state.order.empty() && [state.order.front() isCommitted]);
  });
  if (state.order.empty() || ![state.order.front() isCommitted]) return nil;
  HeadlessCommandBuffer *next = state.order.front();
  state.order.pop_front();
  return next;
}

void run_queue(std::shared_ptr<QueueState> state) {
  GSRegisterCurrentThread();
  for (;;) {
    @autoreleasepool {
      HeadlessCommandBuffer *next = next_command_buffer(*state);
      if (!next) break;
      [next execute];
      [next release];
    }
  }
  GSUnregisterCurrentThread();
}

}  // namespace

void reserve_place(HeadlessQueue *queue, HeadlessCommandBuffer *command_buffer) {
  QueueState &state = **queue->_state;
  std::lock_guard<std::mutex> lock(state.mutex);
  if (std::find(state.order.begin(), state.order.end(), command_buffer) != state.order.end())
    return;
  state.order.push_back([command_buffer retain]);
}

void wake(HeadlessQueue *queue) {
  QueueState &state = **queue->_state;
  std::lock_guard<std::mutex> lock(state.mutex);
  state.changed.notify_all();
}

}  // namespace headless

@implementation HeadlessQueue
@synthesize label = _label;

- (instancetype)init {
  if ((self = [super init])) {
    _state = new std::shared_ptr<headless::QueueState>(new headless::QueueState);
    (*_state)->thread = std::thread(headless::run_queue, *_state);
  }
  return self;
}

- (void)dealloc {
  headless::QueueState &state = **_state;
  {
    std::lock_guard<std::mutex> lock(state.mutex);
    state.stop = true;
    state.changed.notify_all();
  }
  // A command buffer retains its queue, so the last release may come from the queue's own thread.
  if (std::this_thread::get_id() == state.thread.get_id()) {
    state.thread.detach();
  } else {
    state.thread.join();
  }
  delete _state;
  [_label release];
  [super dealloc];
}

- (id<MTLDevice>)device {
  return headless::shared_device();
}

- (id<MTLCommandBuffer>)commandBuffer {
  return [[[HeadlessCommandBuffer alloc] initWithQueue:self retaining:YES] autorelease];
}

- (id<MTLCommandBuffer>)commandBufferWithUnretainedReferences {
  return [[[HeadlessCommandBuffer alloc] initWithQueue:self retaining:NO] autorelease];
}
@end
