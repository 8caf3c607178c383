#include "executable.h"

#include "runtime.h"
#include "shared_graph.h"

HeadlessGraph::~HeadlessGraph() {
  for (const std::unique_ptr<HeadlessNode> &node : nodes) {
    // Whoever still holds them is told when they are used (see node_of).
    node->tensor->_node = nullptr;
    node->operation->_node = nullptr;
    [node->tensor release];
    [node->operation release];
  }
}

headless::Node *HeadlessGraph::add(headless::Rule rule, headless::Nodes inputs,
                                   headless::Type type) {
  for (int64_t size : type.shape) {
    if (size < 0)
      headless::fail_op(rule.name, "shapes must be static, got " + headless::text(type.shape));
  }
  if (type.shape.size() > 16)
    headless::fail_op(rule.name, "rank above 16: " + headless::text(type.shape));
  for (headless::Node *input : inputs) {
    if (input->graph != this) headless::fail_op(rule.name, "an operand of another graph");
  }
  auto node = std::make_unique<HeadlessNode>();
  node->graph = this;
  node->index = nodes.size();
  node->rule = std::move(rule);
  node->inputs = std::move(inputs);
  node->type = std::move(type);
  node->tensor = [[MPSGraphTensor alloc] init];
  node->operation = [[MPSGraphOperation alloc] init];
  node->tensor->_node = node->operation->_node = node.get();
  nodes.push_back(std::move(node));
  return nodes.back().get();
}

namespace headless {

void fail_op(const char *op, const std::string &message) {
  fail_assertion(std::string("'mps.") + op + "' op " + message);
}

Node *node_of(MPSGraphTensor *tensor) {
  if (!tensor) fail_assertion("a tensor is nil");
  if (!tensor->_node) fail_assertion("a tensor whose graph was released");
  return tensor->_node;
}

Graph *graph_of(MPSGraph *graph) { return shared_graph_of(graph).get(); }

std::shared_ptr<Graph> shared_graph_of(MPSGraph *graph) { return graph->_headless->graph; }

size_t axis_of(int64_t axis, size_t rank, const char *op) {
  const int64_t positive = axis < 0 ? axis + (int64_t)rank : axis;
  if (positive < 0 || positive >= (int64_t)rank) {
    fail_op(op, "axis " + std::to_string(axis) + " of a tensor of rank " + std::to_string(rank));
  }
  return (size_t)positive;
}

void require_same_dtype(const char *op, const Nodes &nodes) {
  for (Node *node : nodes) {
    if (node->type.dtype != nodes[0]->type.dtype) {
      fail_op(op, "requires the same element type for all operands and results, got " +
                      text(nodes[0]->type) + " and " + text(node->type));
    }
  }
}

}  // namespace headless

@implementation MPSGraphObject
- (void)doesNotRecognizeSelector:(SEL)selector {
  fprintf(stderr, "headless: -[%s %s] is not implemented\n",
          [NSStringFromClass([self class]) UTF8String],
          [NSStringFromSelector(selector) UTF8String]);
  [super doesNotRecognizeSelector:selector];
}
@end

@implementation MPSGraphType
- (id)copyWithZone:(NSZone *)zone {
  return [self retain];
}
@end

@implementation MPSGraphShapedType
@synthesize shape = _shape, dataType = _dataType;

- (instancetype)initWithShape:(MPSShape *)shape dataType:(MPSDataType)dataType {
  if ((self = [super init])) {
    _shape = [shape copy];
    _dataType = dataType;
  }
  return self;
}

- (void)dealloc {
  [_shape release];
  [super dealloc];
}
@end

@implementation MPSGraphDevice
+ (instancetype)deviceWithMTLDevice:(id<MTLDevice>)metalDevice {
  if (!metalDevice) headless::fail_assertion("deviceWithMTLDevice: nil");
  MPSGraphDevice *device = [[[self alloc] init] autorelease];
  device->_metalDevice = [metalDevice retain];
  return device;
}

- (void)dealloc {
  [_metalDevice release];
  [super dealloc];
}

- (MPSGraphDeviceType)type {
  return MPSGraphDeviceTypeMetal;
}
- (id<MTLDevice>)metalDevice {
  return _metalDevice;
}
@end

@implementation MPSGraphTensor
- (id)copyWithZone:(NSZone *)zone {
  return [self retain];
}
- (MPSShape *)shape {
  return headless::numbers_from(headless::node_of(self)->type.shape);
}
- (MPSDataType)dataType {
  return headless::node_of(self)->type.dtype;
}
- (MPSGraphOperation *)operation {
  return headless::node_of(self)->operation;
}
@end

@implementation MPSGraphOperation
- (id)copyWithZone:(NSZone *)zone {
  return [self retain];
}
- (NSString *)name {
  return [NSString stringWithUTF8String:_node->rule.name];
}
- (NSArray<MPSGraphTensor *> *)outputTensors {
  return [NSArray arrayWithObjects:_node->tensor, nil];
}

- (NSArray<MPSGraphTensor *> *)inputTensors {
  NSMutableArray<MPSGraphTensor *> *tensors = [NSMutableArray array];
  for (headless::Node *input : _node->inputs) [tensors addObject:input->tensor];
  return tensors;
}
@end

@implementation MPSGraph
@synthesize options = _options;

+ (instancetype)new {
  return [[self alloc] init];
}

- (instancetype)init {
  headless_runtime_init();
  if ((self = [super init])) {
    _headless = new HeadlessSharedGraph{std::make_shared<HeadlessGraph>()};
    _options = MPSGraphOptionsDefault;
  }
  return self;
}

- (void)dealloc {
  delete _headless;
  [super dealloc];
}

- (MPSGraphExecutable *)compileWithDevice:(MPSGraphDevice *)device
                                    feeds:(MPSGraphTensorShapedTypeDictionary *)feeds
                            targetTensors:(NSArray<MPSGraphTensor *> *)targetTensors
                         targetOperations:(NSArray<MPSGraphOperation *> *)targetOperations
                    compilationDescriptor:(MPSGraphCompilationDescriptor *)compilationDescriptor {
  if ([targetOperations count] != 0)
    headless::fail_assertion("target operations are not implemented");
  return headless::compile(self, feeds, targetTensors);
}

- (NSArray<MPSGraphTensor *> *)placeholderTensors {
  NSMutableArray<MPSGraphTensor *> *tensors = [NSMutableArray array];
  for (const auto &node : headless::graph_of(self)->nodes) {
    if (node->is_placeholder) [tensors addObject:node->tensor];
  }
  return tensors;
}
@end
