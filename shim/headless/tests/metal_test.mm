// Buffers, command buffers, blits: what Metal itself promises.
#include "run_graph.h"

#include <atomic>
#include <chrono>
#include <string.h>
#include <thread>

namespace {

struct Metal {
  id<MTLDevice> device = MTLCreateSystemDefaultDevice();
  id<MTLCommandQueue> queue = [device newCommandQueue];
  ~Metal() {
    [queue release];
    [device release];
  }
  id<MTLBuffer> buffer(NSUInteger length,
                       MTLResourceOptions options = MTLResourceStorageModeShared) {
    return [[device newBufferWithLength:length options:options] autorelease];
  }
};

// Fills a buffer and commits, without waiting.
id<MTLCommandBuffer> fill(Metal &metal, id<MTLBuffer> buffer, uint8_t value) {
  id<MTLCommandBuffer> commands = [metal.queue commandBuffer];
  id<MTLBlitCommandEncoder> blit = [commands blitCommandEncoder];
  [blit fillBuffer:buffer range:NSMakeRange(0, [buffer length]) value:value];
  [blit endEncoding];
  return commands;
}

headless_counters counters() {
  headless_counters now;
  headless_read_counters(&now);
  return now;
}

}  // namespace

TEST(buffers_are_zeroed_and_private_ones_are_hidden) {
  Metal metal;
  id<MTLBuffer> shared = metal.buffer(8), hidden = metal.buffer(8, MTLResourceStorageModePrivate);
  CHECK(*(uint64_t *)[shared contents] == 0);
  CHECK([hidden contents] == NULL);
  CHECK([hidden storageMode] == MTLStorageModePrivate);
  [shared setLabel:@"weights"];
  CHECK([[shared label] isEqualToString:@"weights"]);
  CHECK([metal.device currentAllocatedSize] == 16);
}

TEST(blits_copy_between_buffers) {
  Metal metal;
  id<MTLBuffer> a = metal.buffer(16), b = metal.buffer(16);
  for (int i = 0; i < 16; ++i) ((uint8_t *)[a contents])[i] = (uint8_t)i;
  id<MTLCommandBuffer> commands = [metal.queue commandBuffer];
  id<MTLBlitCommandEncoder> blit = [commands blitCommandEncoder];
  [blit copyFromBuffer:a sourceOffset:4 toBuffer:b destinationOffset:8 size:8];
  [blit endEncoding];
  CHECK([commands status] == MTLCommandBufferStatusNotEnqueued);
  [commands commit];
  [commands waitUntilCompleted];
  CHECK([commands status] == MTLCommandBufferStatusCompleted && ![commands error]);
  CHECK(memcmp((uint8_t *)[b contents] + 8, (uint8_t *)[a contents] + 4, 8) == 0);
}

TEST(command_buffers_complete_in_order_on_another_thread) {
  Metal metal;
  headless_set_delay(300);
  std::atomic<int> next{0};
  std::atomic<int> *counter = &next;
  std::atomic<bool> other_thread{true};
  std::atomic<bool> *is_other = &other_thread;
  const std::thread::id here = std::this_thread::get_id();
  id<MTLCommandBuffer> last = nil;
  for (int i = 0; i < 20; ++i) {
    last = fill(metal, metal.buffer(4), (uint8_t)i);
    [last addCompletedHandler:^(id<MTLCommandBuffer> done) {
      if (std::this_thread::get_id() == here || [done status] != MTLCommandBufferStatusCompleted)
        *is_other = false;
      if (counter->load() == i) counter->fetch_add(1);
    }];
    [last commit];
  }
  for (int i = 0; i < 2000 && next != 20; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  headless_set_delay(0);
  CHECK(next == 20 && other_thread);
}

TEST(enqueued_command_buffers_keep_their_place) {
  Metal metal;
  id<MTLBuffer> buffer = metal.buffer(4);
  id<MTLCommandBuffer> first = fill(metal, buffer, 1), second = fill(metal, buffer, 2);
  [first enqueue];
  [second commit];
  [first commit];
  [second waitUntilCompleted];
  CHECK(((uint8_t *)[buffer contents])[0] == 2);
}

TEST(a_queue_may_be_released_before_its_work_is_done) {
  headless_set_delay(2000);
  id<MTLCommandBuffer> commands;
  {
    Metal metal;
    commands = [fill(metal, metal.buffer(4), 1) retain];
    [commands commit];
  }
  [commands waitUntilCompleted];
  [commands release];
  headless_set_delay(0);
}

TEST(counters_count) {
  Metal metal;
  headless_reset_counters();
  id<MTLBuffer> buffer = metal.buffer(12);
  id<MTLCommandBuffer> commands = fill(metal, buffer, 3);
  [commands commit];
  [commands waitUntilCompleted];
  const headless_counters now = counters();
  CHECK(now.allocations == 1 && now.allocated_bytes == 12 && now.command_buffers == 1 &&
        now.blit_encoders == 1);
  CHECK(now.waits == 1 && now.completed == 1 && now.failed == 0 && now.max_in_flight == 1 &&
        now.host_copies == 0);
}

TEST(ordered_allocations_fail_once) {
  Metal metal;
  headless_fail(HEADLESS_FAULT_ALLOCATION, 2);
  CHECK(metal.buffer(4) != nil);
  CHECK(metal.buffer(4) == nil);
  CHECK(metal.buffer(4) != nil);
  CHECK(headless_fault_events(HEADLESS_FAULT_ALLOCATION) == 3);
  headless_fail(HEADLESS_FAULT_ALLOCATION, 0);
}

TEST(memory_is_limited) {
  Metal metal;
  headless_set_memory_limit(headless_live_bytes() + 100);
  CHECK(metal.buffer(101) == nil);
  CHECK(metal.buffer(100) != nil);
  CHECK(metal.buffer(1) == nil);
  headless_set_memory_limit(0);
}

TEST(ordered_commits_fail_and_do_nothing) {
  Metal metal;
  id<MTLBuffer> buffer = metal.buffer(4);
  headless_fail(HEADLESS_FAULT_COMMIT, 1);
  id<MTLCommandBuffer> commands = fill(metal, buffer, 7);
  [commands commit];
  [commands waitUntilCompleted];
  CHECK([commands status] == MTLCommandBufferStatusError);
  CHECK([[commands error] code] == MTLCommandBufferErrorDeviceRemoved);
  CHECK([[[commands error] domain] isEqualToString:MTLCommandBufferErrorDomain]);
  CHECK(((uint8_t *)[buffer contents])[0] == 0);
  headless_fail(HEADLESS_FAULT_COMMIT, 0);
}

TEST(blits_retain_their_buffers) {
  Metal metal;
  headless_set_delay(1000);
  headless_reset_counters();
  id<MTLCommandBuffer> commands;
  @autoreleasepool {
    commands = [fill(metal, metal.buffer(4), 1) retain];
  }
  [commands commit];
  [commands waitUntilCompleted];
  CHECK([commands status] == MTLCommandBufferStatusCompleted && counters().poisoned == 0);
  [commands release];
  headless_set_delay(0);
}

TEST(command_buffers_without_references_notice_released_buffers) {
  Metal metal;
  headless_reset_counters();
  id<MTLCommandBuffer> commands = [metal.queue commandBufferWithUnretainedReferences];
  @autoreleasepool {
    id<MTLBlitCommandEncoder> blit = [commands blitCommandEncoder];
    [blit fillBuffer:metal.buffer(4) range:NSMakeRange(0, 4) value:1];
    [blit endEncoding];
  }
  [commands commit];
  [commands waitUntilCompleted];
  CHECK([commands status] == MTLCommandBufferStatusError && counters().poisoned == 1);
  CHECK([[commands error] code] == MTLCommandBufferErrorInvalidResource);
}

TEST(commit_and_continue) {
  Metal metal;
  MPSCommandBuffer *commands = [MPSCommandBuffer commandBufferFromCommandQueue:metal.queue];
  id<MTLCommandBuffer> first = [[commands rootCommandBuffer] retain];
  [commands commitAndContinue];
  CHECK([first status] >= MTLCommandBufferStatusCommitted);
  CHECK([commands rootCommandBuffer] != first);
  CHECK([commands status] == MTLCommandBufferStatusNotEnqueued);
  [commands commit];
  [commands waitUntilCompleted];
  [first release];
}

TEST(misuse_of_metal_aborts) {
  Metal metal;
  id<MTLBuffer> buffer = metal.buffer(8), hidden = metal.buffer(8, MTLResourceStorageModePrivate);
  id<MTLCommandBuffer> commands = [metal.queue commandBuffer];
  CHECK_ABORTS([metal.device newBufferWithLength:0 options:0]);
  CHECK_ABORTS([metal.device newBufferWithBytes:"abcd"
                                         length:4
                                        options:MTLResourceStorageModePrivate]);
  CHECK_ABORTS([hidden didModifyRange:NSMakeRange(0, 4)]);
  CHECK_ABORTS([commands waitUntilCompleted]);
  CHECK_ABORTS([commands blitCommandEncoder];[commands commit]);
  CHECK_ABORTS([[commands blitCommandEncoder] fillBuffer:buffer range:NSMakeRange(4, 8) value:0]);
  CHECK_ABORTS([[commands blitCommandEncoder] fillBuffer:buffer range:NSMakeRange(1, 4) value:0]);
  CHECK_ABORTS([[commands blitCommandEncoder] copyFromBuffer:buffer
                                                sourceOffset:0
                                                    toBuffer:buffer
                                           destinationOffset:0
                                                        size:4]);
  CHECK_ABORTS(@autoreleasepool { [[metal.queue commandBuffer] blitCommandEncoder]; });
  [commands commit];
  CHECK_ABORTS([commands commit]);
  CHECK_ABORTS([commands addCompletedHandler:^(id<MTLCommandBuffer>){
  }]);
  CHECK_ABORTS([commands blitCommandEncoder]);
  [commands waitUntilCompleted];
}
