// Reading and writing by index.
#include "ops.h"

#include "runtime.h"

namespace headless {
namespace {

int64_t product(const Shape &shape, size_t begin, size_t end) {
  return elements(Shape(shape.begin() + (long)begin, shape.begin() + (long)end));
}

int64_t index_at(const Array &indices, int64_t at) {
  return indices.type.dtype == MPSDataTypeInt64 ? indices.data<int64_t>()[at]
                                                : indices.data<int32_t>()[at];
}

void require_indices(const char *op, Node *indices) {
  if (indices->type.dtype != MPSDataTypeInt32 && indices->type.dtype != MPSDataTypeInt64) {
    fail_op(op, "indices must be of type si32 or si64, got " + text(indices->type));
  }
}

// An index outside of the axis reads 0.
void evaluate_gather(size_t axis, const Arrays &in, Array &out) {
  const Shape &shape = in[0].type.shape;
  const int64_t outer = product(shape, 0, axis), size = shape[axis];
  const size_t bytes = (size_t)product(shape, axis + 1, shape.size()) * size_of(out.type.dtype);
  const int64_t count = in[1].count();
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t i = 0; i < count; ++i) {
      const int64_t index = index_at(in[1], i);
      uint8_t *to = out.memory.get() + (size_t)(o * count + i) * bytes;
      if (index < 0 || index >= size) {
        memset(to, 0, bytes);
      } else {
        memcpy(to, in[0].memory.get() + (size_t)(o * size + index) * bytes, bytes);
      }
    }
  }
}

template <class C>
C combine(MPSGraphScatterMode mode, C old, C update) {
  switch (mode) {
    case MPSGraphScatterModeAdd: return old + update;
    case MPSGraphScatterModeSub: return old - update;
    case MPSGraphScatterModeMul: return old * update;
    case MPSGraphScatterModeDiv: return old / update;
    case MPSGraphScatterModeMin: return update < old ? update : old;
    case MPSGraphScatterModeMax: return update > old ? update : old;
    case MPSGraphScatterModeSet: return update;
  }
}

// Updates with an index outside of the axis are dropped. The rest starts as 0.
template <class T>
void evaluate_scatter(size_t axis, MPSGraphScatterMode mode, const Arrays &in, Array &out) {
  const Shape &shape = out.type.shape;
  const int64_t outer = product(shape, 0, axis), size = shape[axis],
                inner = product(shape, axis + 1, shape.size());
  memset(out.memory.get(), 0, out.bytes());
  const int64_t count = in[1].count();
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t i = 0; i < count; ++i) {
      const int64_t index = index_at(in[1], i);
      if (index < 0 || index >= size) continue;
      T *to = out.data<T>() + (o * size + index) * inner;
      const T *from = in[0].data<T>() + (o * count + i) * inner;
      for (int64_t k = 0; k < inner; ++k)
        to[k] = T(combine<Compute<T>>(mode, Compute<T>(to[k]), Compute<T>(from[k])));
    }
  }
}

}  // namespace

Node *gather(Node *updates, Node *indices, size_t axis, size_t batch_dimensions) {
  require_indices("gather", indices);
  if (batch_dimensions != 0) fail_op("gather", "batch dimensions are not implemented");
  const Shape &from = updates->type.shape;
  Shape shape(from.begin(), from.begin() + (long)axis);
  shape.insert(shape.end(), indices->type.shape.begin(), indices->type.shape.end());
  shape.insert(shape.end(), from.begin() + (long)axis + 1, from.end());
  auto evaluate = [axis](const Arrays &in, Array &out) { evaluate_gather(axis, in, out); };
  return updates->graph->add({"gather", evaluate}, {updates, indices},
                             {shape, updates->type.dtype});
}

Node *scatter(Node *updates, Node *indices, const Shape &shape, size_t axis,
              MPSGraphScatterMode mode) {
  require_indices("scatter", indices);
  if (indices->type.shape.size() != 1)
    fail_op("scatter", "indices must have rank 1, got " + text(indices->type));
  Shape wanted = shape;
  wanted[axis] = indices->type.shape[0];
  if (updates->type.shape != wanted)
    fail_op("scatter", "updates must be " + text(wanted) + ", got " + text(updates->type));
  auto evaluate = [axis, mode](const Arrays &in, Array &out) {
    visit(out.type.dtype,
          [&](auto tag) { evaluate_scatter<typename decltype(tag)::type>(axis, mode, in, out); });
  };
  return updates->graph->add({"scatter", evaluate}, {updates, indices},
                             {shape, updates->type.dtype});
}

Node *one_hot(Node *indices, int64_t depth, size_t axis, MPSDataType dtype, double on, double off) {
  require_indices("one_hot", indices);
  Shape shape = indices->type.shape;
  shape.insert(shape.begin() + (long)axis, depth);
  auto evaluate = [axis, on, off](const Arrays &in, Array &out) {
    visit(out.type.dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      const int64_t step = strides_of(out.type.shape)[axis], size = out.type.shape[axis];
      for (int64_t i = 0; i < out.count(); ++i) {
        const int64_t index = index_at(in[0], i / (step * size) * step + i % step);
        out.data<T>()[i] = T((Compute<T>)(index == i / step % size ? on : off));
      }
    });
  };
  return indices->graph->add({"one_hot", evaluate}, {indices}, {shape, dtype});
}

}  // namespace headless

using namespace headless;

@implementation MPSGraph (MPSGraphGatherOps)
- (MPSGraphTensor *)gatherWithUpdatesTensor:(MPSGraphTensor *)updatesTensor
                              indicesTensor:(MPSGraphTensor *)indicesTensor
                                       axis:(NSUInteger)axis
                            batchDimensions:(NSUInteger)batchDimensions
                                       name:(NSString *)name {
  Node *updates = node_of(updatesTensor);
  return tensor_of(gather(updates, node_of(indicesTensor),
                          axis_of((int64_t)axis, updates->type.shape.size(), "gather"),
                          batchDimensions));
}
@end

@implementation MPSGraph (MPSGraphScatterNDOps)
- (MPSGraphTensor *)scatterWithUpdatesTensor:(MPSGraphTensor *)updatesTensor
                               indicesTensor:(MPSGraphTensor *)indicesTensor
                                       shape:(MPSShape *)shape
                                        axis:(NSInteger)axis
                                        mode:(MPSGraphScatterMode)mode
                                        name:(NSString *)name {
  const Shape sizes = shape_from(shape);
  return tensor_of(scatter(node_of(updatesTensor), node_of(indicesTensor), sizes,
                           axis_of(axis, sizes.size(), "scatter"), mode));
}
@end

@implementation MPSGraph (MPSGraphOneHotOps)
- (MPSGraphTensor *)oneHotWithIndicesTensor:(MPSGraphTensor *)indicesTensor
                                      depth:(NSUInteger)depth
                                   dataType:(MPSDataType)dataType
                                       name:(NSString *)name {
  return [self oneHotWithIndicesTensor:indicesTensor
                                 depth:depth
                                  axis:[[indicesTensor shape] count]
                              dataType:dataType
                                  name:name];
}

- (MPSGraphTensor *)oneHotWithIndicesTensor:(MPSGraphTensor *)indicesTensor
                                      depth:(NSUInteger)depth
                                       axis:(NSUInteger)axis
                                   dataType:(MPSDataType)dataType
                                       name:(NSString *)name {
  return [self oneHotWithIndicesTensor:indicesTensor
                                 depth:depth
                                  axis:axis
                              dataType:dataType
                               onValue:1
                              offValue:0
                                  name:name];
}

- (MPSGraphTensor *)oneHotWithIndicesTensor:(MPSGraphTensor *)indicesTensor
                                      depth:(NSUInteger)depth
                                       axis:(NSUInteger)axis
                                   dataType:(MPSDataType)dataType
                                    onValue:(double)onValue
                                   offValue:(double)offValue
                                       name:(NSString *)name {
  Node *indices = node_of(indicesTensor);
  const size_t place = axis_of((int64_t)axis, indices->type.shape.size() + 1, "one_hot");
  return tensor_of(one_hot(indices, (int64_t)depth, place, dataType, onValue, offValue));
}
@end
