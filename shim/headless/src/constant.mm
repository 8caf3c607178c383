// Placeholders and constants.
#include "ops.h"

#include "runtime.h"

namespace headless {

Node *placeholder(Graph *graph, Type type) {
  visit(type.dtype, [](auto) {});
  Node *node = graph->add({"placeholder", nullptr}, {}, std::move(type));
  node->is_placeholder = true;
  return node;
}

Node *constant(Graph *graph, Array value) {
  Node *node = graph->add({"constant", nullptr}, {}, value.type);
  node->constant = std::move(value);
  return node;
}

Node *filled(Graph *graph, double value, Type type) {
  Array array = Array::make(std::move(type));
  visit(array.type.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const int64_t count = array.count();
    for (int64_t i = 0; i < count; ++i) array.data<T>()[i] = T((Compute<T>)value);
  });
  return constant(graph, std::move(array));
}

}  // namespace headless

using namespace headless;

@implementation MPSGraph (MPSGraphMemoryOps)
- (MPSGraphTensor *)placeholderWithShape:(MPSShape *)shape
                                dataType:(MPSDataType)dataType
                                    name:(NSString *)name {
  return tensor_of(placeholder(graph_of(self), {shape_from(shape), dataType}));
}

- (MPSGraphTensor *)constantWithData:(NSData *)data
                               shape:(MPSShape *)shape
                            dataType:(MPSDataType)dataType {
  visit(dataType, [](auto) {});
  Array value = Array::make({shape_from(shape), dataType});
  if ([data length] != value.bytes()) {
    fail_op("constant", std::to_string([data length]) + " bytes of data for " + text(value.type));
  }
  memcpy(value.memory.get(), [data bytes], value.bytes());
  return tensor_of(constant(graph_of(self), std::move(value)));
}

- (MPSGraphTensor *)constantWithScalar:(double)scalar dataType:(MPSDataType)dataType {
  return tensor_of(filled(graph_of(self), scalar, {{1}, dataType}));
}

- (MPSGraphTensor *)constantWithScalar:(double)scalar
                                 shape:(MPSShape *)shape
                              dataType:(MPSDataType)dataType {
  return tensor_of(filled(graph_of(self), scalar, {shape_from(shape), dataType}));
}
@end
