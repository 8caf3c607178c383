// The operations as C++ functions on nodes: the MPSGraph methods call them.
// Each checks its operands as Apple's compiler does, and aborts where that would.
#pragma once
#include "graph.h"

namespace headless {

enum class Unary {
  Identity,
  Negative,
  Absolute,
  Sign,
  Floor,
  Ceil,
  Exponent,
  Logarithm,
  Square,
  SquareRoot,
  ReverseSquareRoot,
  Reciprocal,
  Sin,
  Cos,
  Tanh,
  Sigmoid,
  Erf,
  ReLU,
};
enum class Binary {
  Add,
  Subtract,
  Multiply,
  Divide,
  Power,
  Minimum,
  Maximum,
  MinimumNaN,
  MaximumNaN
};
enum class Compare { Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual };
enum class Logical { And, Or, Not };
enum class Test { NaN, Finite, Infinite };
enum class Reduction { Sum, Product, Maximum, Minimum, MaximumNaN, MinimumNaN };

Node *placeholder(Graph *graph, Type type);
Node *constant(Graph *graph, Array value);
// A constant that is the same everywhere.
Node *filled(Graph *graph, double value, Type type);
Node *unary(Unary op, Node *x);
Node *binary(Binary op, Node *a, Node *b);
Node *compare(Compare op, Node *a, Node *b);
Node *logical(Logical op, Node *a, Node *b);  // b is null for Not
Node *test(Test op, Node *x);
Node *select(Node *predicate, Node *a, Node *b);
Node *cast(Node *x, MPSDataType dtype);

// Reduced axes stay as 1.
Node *reduce(Reduction op, Node *x, const std::vector<size_t> &axes);
Node *arg_extremum(bool largest, Node *x, size_t axis);
Node *reshape(Node *x, Shape shape);
Node *transpose(Node *x, const std::vector<size_t> &permutation);
Node *broadcast(Node *x, const Shape &shape);
Node *slice(Node *x, Shape starts, Shape ends, Shape strides);
Node *concat(const Nodes &nodes, size_t axis);
Node *pad(Node *x, Shape left, Shape right, double value);
Node *coordinate(Graph *graph, size_t axis, const Shape &shape);
Node *gather(Node *updates, Node *indices, size_t axis, size_t batch_dimensions);
Node *scatter(Node *updates, Node *indices, const Shape &shape, size_t axis,
              MPSGraphScatterMode mode);
Node *one_hot(Node *indices, int64_t depth, size_t axis, MPSDataType dtype, double on, double off);

Node *softmax(Node *x, size_t axis);
Node *matmul(Node *a, Node *b);

}  // namespace headless
