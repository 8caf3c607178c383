#include "executable.h"

#include "metal.h"
#include "ops.h"
#include "runtime.h"
#include "shared_graph.h"
#include <algorithm>

namespace headless {
namespace {

// All nodes that the targets need, in order of creation, which is an order of dependence.
Nodes needed_nodes(const Graph &graph, const Nodes &targets) {
  std::vector<bool> needed(graph.nodes.size(), false);
  for (Node *target : targets) needed[target->index] = true;
  for (size_t i = graph.nodes.size(); i-- > 0;) {
    if (!needed[i]) continue;
    for (Node *input : graph.nodes[i]->inputs) needed[input->index] = true;
  }
  Nodes order;
  for (const auto &node : graph.nodes) {
    if (needed[node->index]) order.push_back(node.get());
  }
  return order;
}

// What is a target is used beyond the last node.
std::vector<size_t> last_uses(const Graph &graph, const Nodes &order, const Nodes &targets) {
  std::vector<size_t> last(graph.nodes.size(), 0);
  for (size_t at = 0; at < order.size(); ++at) {
    last[order[at]->index] = at;
    for (Node *input : order[at]->inputs) last[input->index] = at;
  }
  for (Node *target : targets) last[target->index] = order.size();
  return last;
}

void check_feed(Node *node, MPSGraphShapedType *type) {
  if (!node->is_placeholder) fail_assertion("a feed is not a placeholder");
  if (shape_from([type shape]) != node->type.shape || [type dataType] != node->type.dtype) {
    fail_assertion("a feed of " + text(Type{shape_from([type shape]), [type dataType]}) +
                   " for the placeholder " + text(node->type));
  }
}

}  // namespace

MPSGraphExecutable *compile(MPSGraph *graph, MPSGraphTensorShapedTypeDictionary *feeds,
                            NSArray<MPSGraphTensor *> *targets) {
  if (take_fault(HEADLESS_FAULT_COMPILE)) return nil;
  ++counters().compiles;
  auto state = std::make_unique<HeadlessExecutable>();
  state->graph = shared_graph_of(graph);
  for (MPSGraphTensor *tensor in feeds) {
    check_feed(node_of(tensor), [feeds objectForKey:tensor]);
    state->feeds.push_back(node_of(tensor));
  }
  // Nothing promises an order of the feeds: this is the reverse of what one may expect.
  std::sort(state->feeds.begin(), state->feeds.end(),
            [](Node *a, Node *b) { return a->index > b->index; });
  for (MPSGraphTensor *tensor in targets) state->targets.push_back(node_of(tensor));
  if (state->targets.empty()) fail_assertion("an executable without targets");
  state->order = needed_nodes(*state->graph, state->targets);
  // A feed that nothing needs is not one of the executable's.
  auto unused = [&](Node *feed) {
    return std::find(state->order.begin(), state->order.end(), feed) == state->order.end();
  };
  state->feeds.erase(std::remove_if(state->feeds.begin(), state->feeds.end(), unused),
                     state->feeds.end());
  for (Node *node : state->order) {
    if (node->graph != state->graph.get()) fail_assertion("a target of another graph");
    if (node->is_placeholder &&
        std::find(state->feeds.begin(), state->feeds.end(), node) == state->feeds.end()) {
      fail_assertion("a placeholder of " + text(node->type) + " is needed and not fed");
    }
  }
  state->last_use = last_uses(*state->graph, state->order, state->targets);
  MPSGraphExecutable *executable = [[[MPSGraphExecutable alloc] init] autorelease];
  executable->_headless = state.release();
  return executable;
}

namespace {

// The values of one run. Placeholders are views of the bound memory. Results are written when everything
// is computed, the last one first: nobody may count on an earlier moment or another order.
class Run {
 public:
  Run(const HeadlessExecutable &executable, const Binding &binding)
      : executable_(executable), binding_(binding), values_(executable.graph->nodes.size()) {
    for (size_t i = 0; i < executable.feeds.size(); ++i) {
      values_[executable.feeds[i]->index] = binding.inputs[i].view();
    }
  }

  void execute() {
    for (size_t at = 0; at < executable_.order.size(); ++at) {
      Node *node = executable_.order[at];
      compute(node);
      for (Node *input : node->inputs) drop(input, at);
    }
    for (size_t i = executable_.targets.size(); i-- > 0;) write(i);
  }

 private:
  void compute(Node *node) {
    if (node->is_placeholder) return;
    Array &value = values_[node->index];
    if (node->constant.memory) {
      value = node->constant;
      return;
    }
    Arrays inputs;
    for (Node *input : node->inputs) inputs.push_back(values_[input->index]);
    value = Array::make(node->type);
    node->rule.evaluate(inputs, value);
  }

  void write(size_t i) {
    const HeadlessNDArray &result = binding_.results[i];
    uint8_t *to = result.storage->bytes() + result.offset;
    memcpy(to, values_[executable_.targets[i]->index].memory.get(), result.bytes());
  }

  void drop(Node *node, size_t at) {
    if (executable_.last_use[node->index] == at) values_[node->index].memory.reset();
  }

  const HeadlessExecutable &executable_;
  const Binding &binding_;
  Arrays values_;
};

// The bytes of an operand.
std::pair<const uint8_t *, const uint8_t *> range_of(const HeadlessNDArray &array) {
  const uint8_t *first = array.storage->bytes() + array.offset;
  return {first, first + array.bytes()};
}

bool overlap(const HeadlessNDArray &a, const HeadlessNDArray &b) {
  const auto [a_first, a_end] = range_of(a);
  const auto [b_first, b_end] = range_of(b);
  return a_first < b_end && b_first < a_end;
}

// Nothing says when a result is written: one that shares memory with an input, or with another result,
// gives wrong numbers on some systems.
void check_binding(const Binding &binding) {
  for (size_t i = 0; i < binding.results.size(); ++i) {
    for (const HeadlessNDArray &input : binding.inputs) {
      if (overlap(binding.results[i], input)) {
        fail_assertion("a result is bound to the memory of an input");
      }
    }
    for (size_t k = 0; k < i; ++k) {
      if (overlap(binding.results[i], binding.results[k])) {
        fail_assertion("two results are bound to the same memory");
      }
    }
  }
}

// While a graph runs, subnormal numbers count as zero on this thread, as on a GPU.
class FlushSubnormals {
 public:
#if defined(__x86_64__)
  FlushSubnormals() : saved_(__builtin_ia32_stmxcsr()) {
    __builtin_ia32_ldmxcsr(saved_ | 0x8040);
  }
  ~FlushSubnormals() { __builtin_ia32_ldmxcsr(saved_); }

 private:
  unsigned saved_;
#elif defined(__aarch64__)
  FlushSubnormals() {
    __asm__ volatile("mrs %0, fpcr" : "=r"(saved_));
    __asm__ volatile("msr fpcr, %0" : : "r"(saved_ | (1ull << 24)));
  }
  ~FlushSubnormals() { __asm__ volatile("msr fpcr, %0" : : "r"(saved_)); }

 private:
  uint64_t saved_;
#endif
};

}  // namespace

void execute(const HeadlessExecutable &executable, const Binding &binding) {
  FlushSubnormals flushed;
  Run(executable, binding).execute();
}

namespace {

NSArray<MPSGraphTensor *> *tensors_of(const Nodes &nodes) {
  NSMutableArray<MPSGraphTensor *> *tensors = [NSMutableArray array];
  for (Node *node : nodes) [tensors addObject:node->tensor];
  return tensors;
}

void check_data(const char *what, const Nodes &nodes, NSArray<MPSGraphTensorData *> *data) {
  if ([data count] != nodes.size()) {
    fail_assertion(std::string(what) + ": " + std::to_string([data count]) + " for " +
                   std::to_string(nodes.size()));
  }
  for (size_t i = 0; i < nodes.size(); ++i) {
    MPSGraphTensorData *item = [data objectAtIndex:i];
    if (item->_headless->type.shape != nodes[i]->type.shape ||
        item->_headless->type.dtype != nodes[i]->type.dtype) {
      fail_assertion(std::string(what) + " " + std::to_string(i) + " is " +
                     text(item->_headless->type) + " instead of " + text(nodes[i]->type));
    }
  }
}

// New memory for the results, or nil if there is none.
NSArray<MPSGraphTensorData *> *allocate_results(const Nodes &targets) {
  NSMutableArray<MPSGraphTensorData *> *results = [NSMutableArray array];
  for (Node *target : targets) {
    MPSNDArrayDescriptor *descriptor =
        [MPSNDArrayDescriptor descriptorWithDataType:target->type.dtype
                                               shape:numbers_from(target->type.shape)];
    MPSNDArray *array = [[[MPSNDArray alloc] initWithDevice:shared_device()
                                                 descriptor:descriptor] autorelease];
    if (!array) return nil;
    [results addObject:[[[MPSGraphTensorData alloc] initWithMPSNDArray:array] autorelease]];
  }
  return results;
}

}  // namespace
}  // namespace headless

using namespace headless;

@implementation MPSGraphExecutable
@synthesize options = _options;

- (void)dealloc {
  delete _headless;
  [super dealloc];
}

- (NSArray<MPSGraphTensor *> *)feedTensors {
  return tensors_of(_headless->feeds);
}
- (NSArray<MPSGraphTensor *> *)targetTensors {
  return tensors_of(_headless->targets);
}

- (void)specializeWithDevice:(MPSGraphDevice *)device
                  inputTypes:(NSArray<MPSGraphType *> *)inputTypes
       compilationDescriptor:(MPSGraphCompilationDescriptor *)compilationDescriptor {
  if ([inputTypes count] != _headless->feeds.size())
    fail_assertion("specialize: wrong number of input types");
  for (size_t i = 0; i < _headless->feeds.size(); ++i) {
    check_feed(_headless->feeds[i], (MPSGraphShapedType *)[inputTypes objectAtIndex:i]);
  }
}

- (NSArray<MPSGraphTensorData *> *)
    encodeToCommandBuffer:(MPSCommandBuffer *)commandBuffer
              inputsArray:(NSArray<MPSGraphTensorData *> *)inputsArray
             resultsArray:(NSArray<MPSGraphTensorData *> *)resultsArray
      executionDescriptor:(MPSGraphExecutableExecutionDescriptor *)executionDescriptor {
  check_data("inputsArray", _headless->feeds, inputsArray);
  if (!resultsArray) resultsArray = allocate_results(_headless->targets);
  if (!resultsArray) return nil;
  check_data("resultsArray", _headless->targets, resultsArray);
  ++counters().executable_encodes;
  Binding binding;
  std::vector<std::shared_ptr<Storage>> used;
  for (MPSGraphTensorData *data in inputsArray) {
    binding.inputs.push_back(*data->_headless);
    used.push_back(data->_headless->storage);
  }
  for (MPSGraphTensorData *data in resultsArray) {
    binding.results.push_back(*data->_headless);
    used.push_back(data->_headless->storage);
  }
  check_binding(binding);
  const HeadlessExecutable *executable = _headless;
  // The executable lives as long as the command buffer; the buffers are the caller's business.
  encode(commandBuffer, [NSArray arrayWithObjects:self, nil], used,
         [executable, binding = std::move(binding)] { execute(*executable, binding); });
  [self finishEncoding:commandBuffer results:resultsArray descriptor:executionDescriptor];
  return resultsArray;
}

- (void)finishEncoding:(MPSCommandBuffer *)commandBuffer
               results:(NSArray<MPSGraphTensorData *> *)results
            descriptor:(MPSGraphExecutableExecutionDescriptor *)descriptor {
  MPSGraphExecutableCompletionHandler handler = [descriptor completionHandler];
  if (handler) {
    [commandBuffer addCompletedHandler:^(id<MTLCommandBuffer> done) {
      handler(results, [done error]);
    }];
  }
  if (commit_and_continue()) [commandBuffer commitAndContinue];
}

- (NSArray<MPSGraphTensorData *> *)
    runAsyncWithMTLCommandQueue:(id<MTLCommandQueue>)commandQueue
                    inputsArray:(NSArray<MPSGraphTensorData *> *)inputsArray
                   resultsArray:(NSArray<MPSGraphTensorData *> *)resultsArray
            executionDescriptor:(MPSGraphExecutableExecutionDescriptor *)descriptor {
  MPSCommandBuffer *commandBuffer = [MPSCommandBuffer commandBufferFromCommandQueue:commandQueue];
  NSArray<MPSGraphTensorData *> *results = [self encodeToCommandBuffer:commandBuffer
                                                           inputsArray:inputsArray
                                                          resultsArray:resultsArray
                                                   executionDescriptor:descriptor];
  [commandBuffer commit];
  if ([descriptor waitUntilCompleted]) [commandBuffer waitUntilCompleted];
  return results;
}

- (NSArray<MPSGraphTensorData *> *)
    runWithMTLCommandQueue:(id<MTLCommandQueue>)commandQueue
               inputsArray:(NSArray<MPSGraphTensorData *> *)inputsArray
              resultsArray:(NSArray<MPSGraphTensorData *> *)resultsArray
       executionDescriptor:(MPSGraphExecutableExecutionDescriptor *)descriptor {
  MPSCommandBuffer *commandBuffer = [MPSCommandBuffer commandBufferFromCommandQueue:commandQueue];
  NSArray<MPSGraphTensorData *> *results = [self encodeToCommandBuffer:commandBuffer
                                                           inputsArray:inputsArray
                                                          resultsArray:resultsArray
                                                   executionDescriptor:descriptor];
  [commandBuffer commit];
  [commandBuffer waitUntilCompleted];
  return results;
}
@end

@implementation MPSGraphCompilationDescriptor
@synthesize optimizationLevel = _optimizationLevel,
            waitForCompilationCompletion = _waitForCompilationCompletion;

- (instancetype)init {
  if ((self = [super init])) _optimizationLevel = MPSGraphOptimizationLevel1;
  return self;
}

- (void)disableTypeInference {
}

- (id)copyWithZone:(NSZone *)zone {
  MPSGraphCompilationDescriptor *copy = [[MPSGraphCompilationDescriptor alloc] init];
  copy->_optimizationLevel = _optimizationLevel;
  copy->_waitForCompilationCompletion = _waitForCompilationCompletion;
  return copy;
}
@end

@implementation MPSGraphExecutableExecutionDescriptor
@synthesize completionHandler = _completionHandler, waitUntilCompleted = _waitUntilCompleted;

- (void)dealloc {
  [_completionHandler release];
  [super dealloc];
}

- (id)copyWithZone:(NSZone *)zone {
  MPSGraphExecutableExecutionDescriptor *copy =
      [[MPSGraphExecutableExecutionDescriptor alloc] init];
  [copy setCompletionHandler:_completionHandler];
  [copy setWaitUntilCompleted:_waitUntilCompleted];
  return copy;
}
@end
