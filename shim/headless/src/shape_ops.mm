// The methods of MPSGraph that move elements.
#include "ops.h"

#include "runtime.h"
#include <algorithm>

using namespace headless;

@implementation MPSGraph (MPSGraphTensorShapeOps)

- (MPSGraphTensor *)reshapeTensor:(MPSGraphTensor *)tensor
                        withShape:(MPSShape *)shape
                             name:(NSString *)name {
  return tensor_of(reshape(node_of(tensor), shape_from(shape)));
}

- (MPSGraphTensor *)transposeTensor:(MPSGraphTensor *)tensor
                          dimension:(NSUInteger)dimensionIndex
                      withDimension:(NSUInteger)dimensionIndex2
                               name:(NSString *)name {
  Node *x = node_of(tensor);
  const size_t rank = x->type.shape.size();
  std::vector<size_t> permutation(rank);
  for (size_t i = 0; i < rank; ++i) permutation[i] = i;
  std::swap(permutation[axis_of((int64_t)dimensionIndex, rank, "transpose")],
            permutation[axis_of((int64_t)dimensionIndex2, rank, "transpose")]);
  return tensor_of(transpose(x, permutation));
}

- (MPSGraphTensor *)transposeTensor:(MPSGraphTensor *)tensor
                        permutation:(NSArray<NSNumber *> *)permutation
                               name:(NSString *)name {
  std::vector<size_t> axes;
  for (NSNumber *axis in permutation) axes.push_back([axis unsignedLongValue]);
  return tensor_of(transpose(node_of(tensor), axes));
}

- (MPSGraphTensor *)sliceTensor:(MPSGraphTensor *)tensor
                      dimension:(NSUInteger)dimensionIndex
                          start:(NSInteger)start
                         length:(NSInteger)length
                           name:(NSString *)name {
  Node *x = node_of(tensor);
  const size_t axis = axis_of((int64_t)dimensionIndex, x->type.shape.size(), "slice");
  Shape starts(x->type.shape.size(), 0), ends = x->type.shape;
  starts[axis] = start < 0 ? start + ends[axis] : start;
  ends[axis] = starts[axis] + length;
  return tensor_of(slice(x, starts, ends, Shape(starts.size(), 1)));
}

- (MPSGraphTensor *)sliceTensor:(MPSGraphTensor *)tensor
                         starts:(NSArray<NSNumber *> *)starts
                           ends:(NSArray<NSNumber *> *)ends
                        strides:(NSArray<NSNumber *> *)strides
                           name:(NSString *)name {
  return tensor_of(
      slice(node_of(tensor), shape_from(starts), shape_from(ends), shape_from(strides)));
}

- (MPSGraphTensor *)concatTensor:(MPSGraphTensor *)tensor
                      withTensor:(MPSGraphTensor *)tensor2
                       dimension:(NSInteger)dimensionIndex
                            name:(NSString *)name {
  return [self concatTensors:[NSArray arrayWithObjects:tensor, tensor2, nil]
                   dimension:dimensionIndex
                        name:name];
}

- (MPSGraphTensor *)concatTensors:(NSArray<MPSGraphTensor *> *)tensors
                        dimension:(NSInteger)dimensionIndex
                             name:(NSString *)name {
  Nodes nodes;
  for (MPSGraphTensor *tensor in tensors) nodes.push_back(node_of(tensor));
  if (nodes.empty()) fail_op("concat", "without operands");
  return tensor_of(concat(nodes, axis_of(dimensionIndex, nodes[0]->type.shape.size(), "concat")));
}

- (MPSGraphTensor *)padTensor:(MPSGraphTensor *)tensor
              withPaddingMode:(MPSGraphPaddingMode)paddingMode
                  leftPadding:(MPSShape *)leftPadding
                 rightPadding:(MPSShape *)rightPadding
                constantValue:(double)constantValue
                         name:(NSString *)name {
  if (paddingMode != MPSGraphPaddingModeConstant && paddingMode != MPSGraphPaddingModeZero) {
    fail_op("pad", "only constant padding is implemented");
  }
  const double value = paddingMode == MPSGraphPaddingModeZero ? 0 : constantValue;
  return tensor_of(pad(node_of(tensor), shape_from(leftPadding), shape_from(rightPadding), value));
}

- (MPSGraphTensor *)broadcastTensor:(MPSGraphTensor *)tensor
                            toShape:(MPSShape *)shape
                               name:(NSString *)name {
  return tensor_of(broadcast(node_of(tensor), shape_from(shape)));
}

- (MPSGraphTensor *)castTensor:(MPSGraphTensor *)tensor
                        toType:(MPSDataType)type
                          name:(NSString *)name {
  return tensor_of(cast(node_of(tensor), type));
}

- (MPSGraphTensor *)squeezeTensor:(MPSGraphTensor *)tensor
                             axes:(NSArray<NSNumber *> *)axes
                             name:(NSString *)name {
  Node *x = node_of(tensor);
  Shape shape = x->type.shape;
  for (NSNumber *number in axes) {
    int64_t &size = shape[axis_of([number longLongValue], shape.size(), "squeeze")];
    if (size != 1) fail_op("squeeze", "an axis of " + text(x->type) + " that is not 1");
    size = -1;
  }
  shape.erase(std::remove(shape.begin(), shape.end(), -1), shape.end());
  return tensor_of(reshape(x, shape));
}

- (MPSGraphTensor *)expandDimsOfTensor:(MPSGraphTensor *)tensor
                                  axes:(NSArray<NSNumber *> *)axes
                                  name:(NSString *)name {
  Node *x = node_of(tensor);
  const size_t rank = x->type.shape.size() + [axes count];
  Shape shape(rank, 0);
  for (NSNumber *number in axes) shape[axis_of([number longLongValue], rank, "expand_dims")] = 1;
  size_t from = 0;
  for (int64_t &size : shape) {
    if (size == 0) size = x->type.shape[from++];
  }
  return tensor_of(reshape(x, shape));
}

- (MPSGraphTensor *)coordinateAlongAxis:(NSInteger)axis
                              withShape:(MPSShape *)shape
                                   name:(NSString *)name {
  const Shape sizes = shape_from(shape);
  return tensor_of(coordinate(graph_of(self), axis_of(axis, sizes.size(), "get_coord"), sizes));
}
@end
