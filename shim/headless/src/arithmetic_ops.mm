// The arithmetic and activation methods of MPSGraph.
#include "ops.h"

using namespace headless;

#define UNARY(method, op)                                                                    \
  -(MPSGraphTensor *)method##WithTensor : (MPSGraphTensor *)tensor name : (NSString *)name { \
    return tensor_of(unary(Unary::op, node_of(tensor)));                                     \
  }

#define TEST(method, op)                                                                     \
  -(MPSGraphTensor *)method##WithTensor : (MPSGraphTensor *)tensor name : (NSString *)name { \
    return tensor_of(test(Test::op, node_of(tensor)));                                       \
  }

#define PAIR(method, call, op)                                                                   \
  -(MPSGraphTensor *)method##WithPrimaryTensor : (MPSGraphTensor *)primaryTensor secondaryTensor \
      : (MPSGraphTensor *)secondaryTensor name : (NSString *)name {                              \
    return tensor_of(call(op, node_of(primaryTensor), node_of(secondaryTensor)));                \
  }

@implementation MPSGraph (MPSGraphArithmeticOps)
UNARY(identity, Identity)
UNARY(exponent, Exponent)
UNARY(logarithm, Logarithm)
UNARY(square, Square)
UNARY(squareRoot, SquareRoot)
UNARY(reverseSquareRoot, ReverseSquareRoot)
UNARY(reciprocalSquareRoot, ReverseSquareRoot)
UNARY(reciprocal, Reciprocal)
UNARY(absolute, Absolute)
UNARY(negative, Negative)
UNARY(sign, Sign)
UNARY(ceil, Ceil)
UNARY(floor, Floor)
UNARY(sin, Sin)
UNARY(cos, Cos)
UNARY(tanh, Tanh)
UNARY(erf, Erf)
TEST(isNaN, NaN)
TEST(isFinite, Finite)
TEST(isInfinite, Infinite)
PAIR(addition, binary, Binary::Add)
PAIR(subtraction, binary, Binary::Subtract)
PAIR(multiplication, binary, Binary::Multiply)
PAIR(division, binary, Binary::Divide)
PAIR(power, binary, Binary::Power)
PAIR(minimum, binary, Binary::Minimum)
PAIR(maximum, binary, Binary::Maximum)
PAIR(minimumWithNaNPropagation, binary, Binary::MinimumNaN)
PAIR(maximumWithNaNPropagation, binary, Binary::MaximumNaN)
PAIR(equal, compare, Compare::Equal)
PAIR(notEqual, compare, Compare::NotEqual)
PAIR(lessThan, compare, Compare::Less)
PAIR(lessThanOrEqualTo, compare, Compare::LessOrEqual)
PAIR(greaterThan, compare, Compare::Greater)
PAIR(greaterThanOrEqualTo, compare, Compare::GreaterOrEqual)
PAIR(logicalAND, logical, Logical::And)
PAIR(logicalOR, logical, Logical::Or)

- (MPSGraphTensor *)notWithTensor:(MPSGraphTensor *)tensor name:(NSString *)name {
  return tensor_of(logical(Logical::Not, node_of(tensor), nullptr));
}

- (MPSGraphTensor *)selectWithPredicateTensor:(MPSGraphTensor *)predicateTensor
                          truePredicateTensor:(MPSGraphTensor *)truePredicateTensor
                         falsePredicateTensor:(MPSGraphTensor *)falseSelectTensor
                                         name:(NSString *)name {
  return tensor_of(
      select(node_of(predicateTensor), node_of(truePredicateTensor), node_of(falseSelectTensor)));
}

- (MPSGraphTensor *)clampWithTensor:(MPSGraphTensor *)tensor
                     minValueTensor:(MPSGraphTensor *)minValueTensor
                     maxValueTensor:(MPSGraphTensor *)maxValueTensor
                               name:(NSString *)name {
  Node *raised = binary(Binary::Maximum, node_of(tensor), node_of(minValueTensor));
  return tensor_of(binary(Binary::Minimum, raised, node_of(maxValueTensor)));
}
@end

@implementation MPSGraph (MPSGraphActivationOps)
UNARY(reLU, ReLU)
UNARY(sigmoid, Sigmoid)

- (MPSGraphTensor *)softMaxWithTensor:(MPSGraphTensor *)tensor
                                 axis:(NSInteger)axis
                                 name:(NSString *)name {
  Node *x = node_of(tensor);
  return tensor_of(softmax(x, axis_of(axis, x->type.shape.size(), "softmax")));
}
@end
