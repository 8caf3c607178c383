#include "command_buffer.h"

#include "command_queue.h"
#include "kernels.h"
#include "runtime.h"
#include <chrono>

NSString *const MTLCommandBufferErrorDomain = @"MTLCommandBufferErrorDomain";

namespace headless {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

NSError *command_buffer_error(MTLCommandBufferError code, NSString *text) {
  NSDictionary *info = [NSDictionary dictionaryWithObject:text forKey:NSLocalizedDescriptionKey];
  return [[NSError alloc] initWithDomain:MTLCommandBufferErrorDomain
                                    code:(NSInteger)code
                                userInfo:info];
}

// Does the work. The error if there is one, retained.
NSError *do_work(CommandBufferState &state) {
  if (state.ordered_to_fail) {
    return command_buffer_error(MTLCommandBufferErrorDeviceRemoved,
                                @"Device lost (an injected fault)");
  }
  for (const std::function<void()> &work : state.work) work();
  for (const Storage::Use &use : state.uses) {
    if (use->released()) {
      return command_buffer_error(MTLCommandBufferErrorInvalidResource,
                                  @"Invalid resource: a buffer was released while it was in use");
    }
  }
  return nil;
}

void call_handlers(std::vector<MTLCommandBufferHandler> &handlers,
                   HeadlessCommandBuffer *command_buffer) {
  for (MTLCommandBufferHandler handler : handlers) {
    @try {
      handler(command_buffer);
    } @catch (NSException *exception) {
      fail_assertion(std::string("exception in a handler: ") + [[exception reason] UTF8String]);
    }
    [handler release];
  }
  handlers.clear();
}

void count_in_flight() {
  const uint64_t in_flight = ++counters().in_flight;
  uint64_t most = counters().max_in_flight;
  while (in_flight > most && !counters().max_in_flight.compare_exchange_weak(most, in_flight)) {
  }
}

}  // namespace

HeadlessCommandBuffer *unwrap(id<MTLCommandBuffer> command_buffer) {
  id inner = command_buffer;
  while ([inner isKindOfClass:[MPSCommandBuffer class]])
    inner = [(MPSCommandBuffer *)inner commandBuffer];
  if (![inner isKindOfClass:[HeadlessCommandBuffer class]])
    fail_assertion("no command buffer to encode to");
  return (HeadlessCommandBuffer *)inner;
}

void encode(id<MTLCommandBuffer> command_buffer, NSArray *retained,
            const std::vector<std::shared_ptr<Storage>> &used, std::function<void()> work) {
  HeadlessCommandBuffer *target = unwrap(command_buffer);
  CommandBufferState &state = *target->_state;
  if ([target isCommitted]) fail_assertion("encoding to a command buffer that is committed");
  if (state.open_encoders != 0) fail_assertion("encoding while another encoder is open");
  for (id object in retained) {
    if (state.retaining) state.retained.push_back([object retain]);
  }
  for (const std::shared_ptr<Storage> &storage : used) {
    if (storage->released()) fail_assertion("encoding with a buffer that was released");
    state.uses.emplace_back(storage);
  }
  state.work.push_back(std::move(work));
}

}  // namespace headless

@implementation HeadlessCommandBuffer
@synthesize label = _label;

- (instancetype)initWithQueue:(HeadlessQueue *)queue retaining:(BOOL)retaining {
  if ((self = [super init])) {
    _queue = [queue retain];
    _state = new headless::CommandBufferState;
    _state->retaining = retaining;
  }
  return self;
}

- (void)dealloc {
  for (MTLCommandBufferHandler handler : _state->scheduled_handlers) [handler release];
  for (MTLCommandBufferHandler handler : _state->completed_handlers) [handler release];
  for (id object : _state->retained) [object release];
  [_state->error release];
  delete _state;
  [_label release];
  [_queue release];
  [super dealloc];
}

- (MTLCommandBufferStatus)status {
  return _state->status;
}
- (NSError *)error {
  return [self status] == MTLCommandBufferStatusError ? _state->error : nil;
}
- (id<MTLCommandQueue>)commandQueue {
  return _queue;
}
- (id<MTLDevice>)device {
  return [_queue device];
}
- (BOOL)retainedReferences {
  return _state->retaining;
}
- (BOOL)isCommitted {
  return _state->status >= MTLCommandBufferStatusCommitted;
}
- (CFTimeInterval)GPUStartTime {
  return _state->start_time;
}
- (CFTimeInterval)GPUEndTime {
  return _state->end_time;
}

- (void)addScheduledHandler:(MTLCommandBufferHandler)block {
  if ([self isCommitted]) headless::fail_assertion("addScheduledHandler: after commit");
  _state->scheduled_handlers.push_back((MTLCommandBufferHandler)[block copy]);
}

- (void)addCompletedHandler:(MTLCommandBufferHandler)block {
  if ([self isCommitted]) headless::fail_assertion("addCompletedHandler: after commit");
  _state->completed_handlers.push_back((MTLCommandBufferHandler)[block copy]);
}

- (id<MTLBlitCommandEncoder>)blitCommandEncoder {
  if ([self isCommitted]) headless::fail_assertion("blitCommandEncoder after commit");
  if (_state->open_encoders != 0)
    headless::fail_assertion("blitCommandEncoder while another encoder is open");
  ++headless::counters().blit_encoders;
  ++_state->open_encoders;
  return [[[HeadlessBlitEncoder alloc] initWithCommandBuffer:self] autorelease];
}

- (id<MTLComputeCommandEncoder>)computeCommandEncoder {
  if ([self isCommitted]) headless::fail_assertion("computeCommandEncoder after commit");
  if (_state->open_encoders != 0)
    headless::fail_assertion("computeCommandEncoder while another encoder is open");
  ++_state->open_encoders;
  return [[[HeadlessComputeEncoder alloc] initWithCommandBuffer:self] autorelease];
}

- (void)enqueue {
  if (_state->status != MTLCommandBufferStatusNotEnqueued)
    headless::fail_assertion("enqueue twice or after commit");
  _state->status = MTLCommandBufferStatusEnqueued;
  headless::reserve_place(_queue, self);
}

- (void)commit {
  if ([self isCommitted]) headless::fail_assertion("commit of a command buffer that is committed");
  if (_state->open_encoders != 0)
    headless::fail_assertion("commit with an encoder that has not ended");
  _state->ordered_to_fail = headless::take_fault(HEADLESS_FAULT_COMMIT);
  ++headless::counters().command_buffers;
  headless::count_in_flight();
  headless::reserve_place(_queue, self);
  _state->status = MTLCommandBufferStatusCommitted;
  headless::wake(_queue);
}

- (void)execute {
  [self moveTo:MTLCommandBufferStatusScheduled];
  headless::call_handlers(_state->scheduled_handlers, self);
  _state->start_time = headless::now();
  _state->error = headless::do_work(*_state);
  _state->end_time = headless::now();
  headless::delay_completion();
  _state->work.clear();
  _state->uses.clear();
  for (id object : _state->retained) [object release];
  _state->retained.clear();
  ++headless::counters().completed;
  if (_state->error) ++headless::counters().failed;
  --headless::counters().in_flight;
  // Waiting threads go on while the handlers run: nothing promises that they have returned.
  [self moveTo:_state->error ? MTLCommandBufferStatusError : MTLCommandBufferStatusCompleted];
  headless::call_handlers(_state->completed_handlers, self);
}

- (void)moveTo:(MTLCommandBufferStatus)status {
  std::lock_guard<std::mutex> lock(_state->mutex);
  _state->status = status;
  _state->changed.notify_all();
}

- (void)waitFor:(MTLCommandBufferStatus)status {
  if (![self isCommitted])
    headless::fail_assertion("waiting for a command buffer that is not committed");
  ++headless::counters().waits;
  std::unique_lock<std::mutex> lock(_state->mutex);
  _state->changed.wait(lock, [&] { return _state->status >= status; });
}

- (void)waitUntilScheduled {
  [self waitFor:MTLCommandBufferStatusScheduled];
}
- (void)waitUntilCompleted {
  [self waitFor:MTLCommandBufferStatusCompleted];
}
@end
