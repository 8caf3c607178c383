// Compiled graphs: feeds, bound results, asynchrony, in-place updates, faults.
#include "run_graph.h"

#include <math.h>
#include <string.h>

namespace {

// y = a x + b on vectors of four, compiled.
struct Line {
  id<MTLDevice> device = MTLCreateSystemDefaultDevice();
  id<MTLCommandQueue> queue = [device newCommandQueue];
  MPSGraph *graph = [MPSGraph new];
  MPSGraphTensor *x, *a, *b, *y;
  MPSGraphExecutable *executable;

  Line() {
    x = [graph placeholderWithShape:@[ @4 ] dataType:MPSDataTypeFloat32 name:@"x"];
    a = [graph placeholderWithShape:@[ @1 ] dataType:MPSDataTypeFloat32 name:@"a"];
    b = [graph placeholderWithShape:@[ @4 ] dataType:MPSDataTypeFloat32 name:@"b"];
    y = [graph additionWithPrimaryTensor:[graph multiplicationWithPrimaryTensor:a
                                                                secondaryTensor:x
                                                                           name:nil]
                         secondaryTensor:b
                                    name:nil];
    executable = [compile(@[ y ]) retain];
  }
  ~Line() {
    [executable release];
    [graph release];
    [queue release];
    [device release];
  }
  MPSGraphExecutable *compile(NSArray<MPSGraphTensor *> *targets) {
    NSMutableDictionary *feeds = [NSMutableDictionary dictionary];
    for (MPSGraphTensor *feed in @[ x, a, b ]) {
      [feeds setObject:[[[MPSGraphShapedType alloc] initWithShape:[feed shape]
                                                         dataType:[feed dataType]] autorelease]
                forKey:feed];
    }
    return [graph compileWithDevice:[MPSGraphDevice deviceWithMTLDevice:device]
                              feeds:feeds
                      targetTensors:targets
                   targetOperations:nil
              compilationDescriptor:nil];
  }
  id<MTLBuffer> buffer(std::vector<float> numbers) {
    return [[device newBufferWithBytes:numbers.data() length:numbers.size() * 4
                               options:0] autorelease];
  }
  MPSGraphTensorData *data(id<MTLBuffer> buffer) {
    MPSShape *shape = @[ [NSNumber numberWithUnsignedLong:[buffer length] / 4] ];
    return [[[MPSGraphTensorData alloc] initWithMTLBuffer:buffer
                                                    shape:shape
                                                 dataType:MPSDataTypeFloat32] autorelease];
  }
  // In the order of the executable's own feeds.
  NSArray *inputs(MPSGraphExecutable *of, id<MTLBuffer> bx, id<MTLBuffer> ba, id<MTLBuffer> bb) {
    NSMutableArray *list = [NSMutableArray array];
    for (MPSGraphTensor *feed in [of feedTensors])
      [list addObject:data(feed == x ? bx : feed == a ? ba : bb)];
    return list;
  }
  MPSCommandBuffer *commands() { return [MPSCommandBuffer commandBufferFromCommandQueue:queue]; }
};

std::vector<float> numbers(id<MTLBuffer> buffer) {
  const float *first = (const float *)[buffer contents];
  return std::vector<float>(first, first + [buffer length] / 4);
}

headless_counters counters() {
  headless_counters now;
  headless_read_counters(&now);
  return now;
}

}  // namespace

TEST(results_are_bound_and_nothing_is_allocated) {
  Line line;
  id<MTLBuffer> out = line.buffer({0, 0, 0, 0}), x = line.buffer({1, 2, 3, 4}),
                a = line.buffer({10}), b = line.buffer({5, 6, 7, 8});
  NSArray *inputs = line.inputs(line.executable, x, a, b), *results = @[ line.data(out) ];
  headless_reset_counters();
  MPSCommandBuffer *commands = line.commands();
  [line.executable encodeToCommandBuffer:commands
                             inputsArray:inputs
                            resultsArray:results
                     executionDescriptor:nil];
  CHECK_NEAR(numbers(out), (std::vector<float>{0, 0, 0, 0}), 0);  // not before the commit
  [commands commit];
  [commands waitUntilCompleted];
  CHECK_NEAR(numbers(out), (std::vector<float>{15, 26, 37, 48}), 0);
  const headless_counters now = counters();
  CHECK(now.allocations == 0 && now.executable_encodes == 1 && now.command_buffers == 1 &&
        now.host_copies == 0);
}

TEST(feeds_do_not_come_in_the_order_of_creation) {
  Line line;
  CHECK([[line.executable feedTensors] objectAtIndex:0] != line.x);
  CHECK([[line.executable targetTensors] objectAtIndex:0] == line.y);
}

// Nothing says when a result is written, so it may not lie where an input or another result does.
TEST(results_that_share_memory_abort) {
  Line line;
  id<MTLBuffer> x = line.buffer({1, 2, 3, 4}), a = line.buffer({2}), b = line.buffer({1, 1, 1, 1});
  id<MTLBuffer> out = line.buffer({0, 0, 0, 0});
  MPSCommandBuffer *commands = line.commands();
  CHECK_ABORTS([line.executable encodeToCommandBuffer:commands
                                          inputsArray:line.inputs(line.executable, x, a, b)
                                         resultsArray:@[ line.data(x) ]
                                  executionDescriptor:nil]);
  MPSGraphTensor *second = [line.graph negativeWithTensor:line.y name:nil];
  MPSGraphExecutable *two = line.compile(@[ line.y, second ]);
  CHECK_ABORTS([two encodeToCommandBuffer:commands
                              inputsArray:line.inputs(two, x, a, b)
                             resultsArray:@[ line.data(out), line.data(out) ]
                      executionDescriptor:nil]);
}

TEST(a_feed_that_nothing_needs_is_dropped) {
  Line line;
  MPSGraphExecutable *executable = line.compile(@[ [line.graph negativeWithTensor:line.x name:nil] ]);
  CHECK([[executable feedTensors] count] == 1);
  CHECK([[executable feedTensors] objectAtIndex:0] == line.x);
}

TEST(subnormal_numbers_count_as_zero) {
  Line line;
  id<MTLBuffer> x = line.buffer({1e-20f, 1e-39f, 1, 2}), a = line.buffer({1e-20f}),
                b = line.buffer({0, 0, 0, 0}), out = line.buffer({5, 5, 5, 5});
  MPSCommandBuffer *commands = line.commands();
  [line.executable encodeToCommandBuffer:commands
                             inputsArray:line.inputs(line.executable, x, a, b)
                            resultsArray:@[ line.data(out) ]
                     executionDescriptor:nil];
  [commands commit];
  [commands waitUntilCompleted];
  CHECK(numbers(out)[0] == 0 && numbers(out)[1] == 0 && numbers(out)[2] == 1e-20f);
}

TEST(commit_and_continue_inside_an_encode) {
  Line line;
  id<MTLBuffer> x = line.buffer({1, 2, 3, 4}), a = line.buffer({2}), b = line.buffer({1, 1, 1, 1});
  id<MTLBuffer> out[2] = {line.buffer({0, 0, 0, 0}), line.buffer({0, 0, 0, 0})};
  headless_set_commit_and_continue(1);
  headless_reset_counters();
  MPSCommandBuffer *commands = line.commands();
  id<MTLCommandBuffer> before = [[commands commandBuffer] retain];
  for (int i = 0; i < 2; ++i) {
    [line.executable encodeToCommandBuffer:commands
                               inputsArray:line.inputs(line.executable, i == 0 ? x : out[0], a, b)
                              resultsArray:@[ line.data(out[i]) ]
                       executionDescriptor:nil];
  }
  headless_set_commit_and_continue(0);
  CHECK([before status] >= MTLCommandBufferStatusCommitted);
  [commands commit];
  [commands waitUntilCompleted];
  CHECK_NEAR(numbers(out[1]), (std::vector<float>{7, 11, 15, 19}), 0);
  CHECK(counters().command_buffers == 3);
  [before release];
}

TEST(tensor_data_does_not_retain_its_buffer) {
  Line line;
  id<MTLBuffer> a = line.buffer({2}), b = line.buffer({1, 1, 1, 1}),
                out = line.buffer({0, 0, 0, 0});
  headless_reset_counters();
  MPSCommandBuffer *commands = line.commands();
  @autoreleasepool {
    id<MTLBuffer> x = line.buffer({1, 2, 3, 4});
    [line.executable encodeToCommandBuffer:commands
                               inputsArray:line.inputs(line.executable, x, a, b)
                              resultsArray:@[ line.data(out) ]
                       executionDescriptor:nil];
  }
  [commands commit];
  [commands waitUntilCompleted];
  CHECK([commands status] == MTLCommandBufferStatusError && counters().poisoned == 1);
  CHECK(isnan(numbers(out)[0]));
}

TEST(an_executable_outlives_its_graph) {
  MPSGraphTensor *y;
  @autoreleasepool {
    Line line;
    y = [line.y retain];
    [line.graph release];
    line.graph = nil;
    id<MTLBuffer> x = line.buffer({1, 2, 3, 4}), a = line.buffer({1}),
                  b = line.buffer({0, 0, 0, 0}), out = line.buffer({0, 0, 0, 0});
    [line.executable runWithMTLCommandQueue:line.queue
                                inputsArray:line.inputs(line.executable, x, a, b)
                               resultsArray:@[ line.data(out) ]
                        executionDescriptor:nil];
    CHECK_NEAR(numbers(out), (std::vector<float>{1, 2, 3, 4}), 0);
  }
  CHECK_ABORTS((void)[y shape]);
  [y release];
}

TEST(completion_handlers_of_executions) {
  Line line;
  id<MTLBuffer> x = line.buffer({1, 2, 3, 4}), a = line.buffer({1}), b = line.buffer({0, 0, 0, 0}),
                out = line.buffer({0, 0, 0, 0});
  __block float seen = 0;
  MPSGraphExecutableExecutionDescriptor *how =
      [[[MPSGraphExecutableExecutionDescriptor alloc] init] autorelease];
  [how setCompletionHandler:^(NSArray<MPSGraphTensorData *> *results, NSError *error) {
    seen = error ? -1 : (float)[results count];
  }];
  MPSCommandBuffer *commands = line.commands();
  [line.executable encodeToCommandBuffer:commands
                             inputsArray:line.inputs(line.executable, x, a, b)
                            resultsArray:@[ line.data(out) ]
                     executionDescriptor:how];
  [commands commit];
  // A later command buffer completes after the handlers of an earlier one.
  id<MTLCommandBuffer> later = [line.queue commandBuffer];
  [later commit];
  [later waitUntilCompleted];
  CHECK(seen == 1);
}

TEST(ordered_compilations_and_result_allocations_fail) {
  Line line;
  headless_fail(HEADLESS_FAULT_COMPILE, 1);
  CHECK(line.compile(@[ line.y ]) == nil);
  headless_fail(HEADLESS_FAULT_COMPILE, 0);
  id<MTLBuffer> x = line.buffer({1, 2, 3, 4}), a = line.buffer({1}), b = line.buffer({0, 0, 0, 0});
  NSArray *inputs = line.inputs(line.executable, x, a, b);
  headless_fail(HEADLESS_FAULT_ALLOCATION, 1);
  MPSCommandBuffer *commands = line.commands();
  CHECK([line.executable encodeToCommandBuffer:commands
                                   inputsArray:inputs
                                  resultsArray:nil
                           executionDescriptor:nil] == nil);
  headless_fail(HEADLESS_FAULT_ALLOCATION, 0);
}

TEST(misuse_of_executables_aborts) {
  Line line;
  id<MTLBuffer> x = line.buffer({1, 2, 3, 4}), a = line.buffer({1}), b = line.buffer({0, 0, 0, 0}),
                out = line.buffer({0, 0, 0, 0});
  MPSCommandBuffer *commands = line.commands();
  NSArray *inputs = line.inputs(line.executable, x, a, b), *results = @[ line.data(out) ];
  CHECK_ABORTS([line.executable encodeToCommandBuffer:commands
                                          inputsArray:@[]
                                         resultsArray:results
                                  executionDescriptor:nil]);
  CHECK_ABORTS([line.executable encodeToCommandBuffer:commands
                                          inputsArray:inputs
                                         resultsArray:@[ line.data(a) ]
                                  executionDescriptor:nil]);
  CHECK_ABORTS([line.executable encodeToCommandBuffer:commands
                                          inputsArray:line.inputs(line.executable, a, x, b)
                                         resultsArray:results
                                  executionDescriptor:nil]);
  CHECK_ABORTS([[MPSGraphTensorData alloc] initWithMTLBuffer:a
                                                       shape:@[ @2 ]
                                                    dataType:MPSDataTypeFloat32]);
  CHECK_ABORTS([[MPSGraphTensorData alloc] initWithMTLBuffer:nil
                                                       shape:@[ @2 ]
                                                    dataType:MPSDataTypeFloat32]);
  MPSGraphDevice *device = [MPSGraphDevice deviceWithMTLDevice:line.device];
  CHECK_ABORTS([line.graph compileWithDevice:device
                                       feeds:[NSDictionary dictionary]
                               targetTensors:@[ line.y ]
                            targetOperations:nil
                       compilationDescriptor:nil]);
}
