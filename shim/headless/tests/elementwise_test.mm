#include "run_graph.h"

#include <math.h>

namespace {

const float kInfinity = INFINITY;
const float kNaN = NAN;

MPSGraphTensor *unary(Case &c, NSString *method, MPSGraphTensor *x) {
  const SEL selector = NSSelectorFromString([method stringByAppendingString:@"WithTensor:name:"]);
  return [c.graph() performSelector:selector withObject:x withObject:nil];
}

MPSGraphTensor *pair(Case &c, NSString *method, MPSGraphTensor *a, MPSGraphTensor *b) {
  NSString *name = [method stringByAppendingString:@"WithPrimaryTensor:secondaryTensor:name:"];
  typedef id (*Call)(id, SEL, id, id, id);
  const SEL selector = NSSelectorFromString(name);
  return ((Call)[c.graph() methodForSelector:selector])(c.graph(), selector, a, b, nil);
}

struct UnaryCase {
  const char *method;
  double (*function)(double);
};

double negative(double x) { return -x; }
double sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : 0; }
double square(double x) { return x * x; }
double reverse_square_root(double x) { return 1 / sqrt(x); }
double reciprocal(double x) { return 1 / x; }
double sigmoid(double x) { return 1 / (1 + exp(-x)); }
double relu(double x) { return x > 0 ? x : 0; }
double identity(double x) { return x; }

const UnaryCase kUnary[] = {
    {"identity", identity},
    {"negative", negative},
    {"absolute", fabs},
    {"sign", sign},
    {"floor", floor},
    {"ceil", ceil},
    {"exponent", exp},
    {"logarithm", log},
    {"square", square},
    {"squareRoot", sqrt},
    {"reciprocal", reciprocal},
    {"reverseSquareRoot", reverse_square_root},
    {"sin", sin},
    {"cos", cos},
    {"tanh", tanh},
    {"sigmoid", sigmoid},
    {"erf", erf},
    {"reLU", relu},
};

}  // namespace

TEST(unary_functions) {
  const std::vector<float> mixed = {-1.7f, -0.4f, 0.3f, 1.2f, 2.6f, 0.9f};
  const std::vector<float> positive = {0.2f, 0.5f, 0.8f, 1.2f, 2.6f, 3.1f};
  for (const UnaryCase &u : kUnary) {
    NSString *method = [NSString stringWithUTF8String:u.method];
    const bool needs_positive = isnan(u.function(-1));
    Case c;
    const std::vector<float> &x = needs_positive ? positive : mixed;
    MPSGraphTensor *y = unary(c, method, c.input({2, 3}, x));
    std::vector<float> want;
    for (float value : x) want.push_back((float)u.function((double)value));
    CHECK_NEAR(c.run(y), want, 2e-6);
  }
}

TEST(unary_special_values) {
  Case c;
  MPSGraphTensor *x = c.input({4}, {-kInfinity, 0.0f, kInfinity, kNaN});
  CHECK_NEAR(c.run(unary(c, @"exponent", x)), (std::vector<float>{0, 1, kInfinity, kNaN}), 0);
  CHECK_NEAR(c.run(unary(c, @"sign", x)), (std::vector<float>{-1, 0, 1, kNaN}), 0);
  CHECK_NEAR(c.run(unary(c, @"reLU", x)), (std::vector<float>{0, 0, kInfinity, kNaN}), 0);
  CHECK_NEAR(c.run(unary(c, @"isNaN", x)), (std::vector<float>{0, 0, 0, 1}), 0);
  CHECK_NEAR(c.run(unary(c, @"isFinite", x)), (std::vector<float>{0, 1, 0, 0}), 0);
  CHECK_NEAR(c.run(unary(c, @"isInfinite", x)), (std::vector<float>{1, 0, 1, 0}), 0);
}

TEST(binary_functions) {
  struct {
    NSString *method;
    std::vector<float> want;
  } cases[] = {
      {@"addition", {11, 22, 33, 14, 25, 36}},
      {@"subtraction", {-9, -18, -27, -6, -15, -24}},
      {@"multiplication", {10, 40, 90, 40, 100, 180}},
      {@"division", {0.1f, 0.1f, 0.1f, 0.4f, 0.25f, 0.2f}},
      {@"minimum", {1, 2, 3, 4, 5, 6}},
      {@"maximum", {10, 20, 30, 10, 20, 30}},
  };
  for (const auto &k : cases) {
    Case c;
    MPSGraphTensor *a = c.input({2, 3}, {1, 2, 3, 4, 5, 6}), *b = c.input({3}, {10, 20, 30});
    MPSGraphTensor *y = pair(c, k.method, a, b);
    CHECK_NEAR(c.run(y), k.want, 1e-6);
  }
}

TEST(power) {
  Case c;
  MPSGraphTensor *a = c.input({4}, {0.5f, 1.5f, 2.0f, 3.0f}), *b = c.input({1}, {2.5f});
  MPSGraphTensor *y = pair(c, @"power", a, b);
  CHECK_NEAR(c.run(y), (std::vector<float>{0.17677669f, 2.7556759f, 5.6568542f, 15.588457f}), 1e-6);
}

TEST(not_a_number_in_extrema) {
  Case c;
  MPSGraphTensor *a = c.input({2}, {kNaN, 1}), *b = c.input({2}, {2, kNaN});
  CHECK_NEAR(c.run(pair(c, @"maximum", a, b)), (std::vector<float>{2, 1}), 0);
  CHECK_NEAR(c.run(pair(c, @"maximumWithNaNPropagation", a, b)), (std::vector<float>{kNaN, kNaN}),
             0);
  CHECK_NEAR(c.run(pair(c, @"minimumWithNaNPropagation", a, b)), (std::vector<float>{kNaN, kNaN}),
             0);
}

TEST(comparisons) {
  Case c;
  MPSGraphTensor *a = c.input({4}, {1, 2, 3, kNaN}), *b = c.input({1}, {2});
  CHECK_NEAR(c.run(pair(c, @"equal", a, b)), (std::vector<float>{0, 1, 0, 0}), 0);
  CHECK_NEAR(c.run(pair(c, @"notEqual", a, b)), (std::vector<float>{1, 0, 1, 1}), 0);
  CHECK_NEAR(c.run(pair(c, @"lessThan", a, b)), (std::vector<float>{1, 0, 0, 0}), 0);
  CHECK_NEAR(c.run(pair(c, @"lessThanOrEqualTo", a, b)), (std::vector<float>{1, 1, 0, 0}), 0);
  CHECK_NEAR(c.run(pair(c, @"greaterThan", a, b)), (std::vector<float>{0, 0, 1, 0}), 0);
  CHECK_NEAR(c.run(pair(c, @"greaterThanOrEqualTo", a, b)), (std::vector<float>{0, 1, 1, 0}), 0);
  CHECK([pair(c, @"equal", a, b) dataType] == MPSDataTypeBool);
}

TEST(logic_and_choice) {
  Case c;
  MPSGraphTensor *a = c.input({2, 2}, {1, 2, 3, 4}), *b = c.input({2}, {2, 3});
  MPSGraphTensor *less = pair(c, @"lessThan", a, b), *equal = pair(c, @"equal", a, b);
  CHECK_NEAR(c.run(pair(c, @"logicalOR", less, equal)), (std::vector<float>{1, 1, 0, 0}), 0);
  CHECK_NEAR(c.run(pair(c, @"logicalAND", less, equal)), (std::vector<float>{0, 0, 0, 0}), 0);
  CHECK_NEAR(c.run(unary(c, @"not", less)), (std::vector<float>{0, 0, 1, 1}), 0);
  MPSGraphTensor *y = [c.graph() selectWithPredicateTensor:less
                                       truePredicateTensor:a
                                      falsePredicateTensor:b
                                                      name:nil];
  CHECK_NEAR(c.run(y), (std::vector<float>{1, 2, 2, 3}), 0);
}

TEST(clamping) {
  Case c;
  MPSGraphTensor *x = c.input({4}, {-3, -0.5f, 0.5f, 3});
  MPSGraphTensor *y =
      [c.graph() clampWithTensor:x
                  minValueTensor:[c.graph() constantWithScalar:-1 dataType:MPSDataTypeFloat32]
                  maxValueTensor:[c.graph() constantWithScalar:1 dataType:MPSDataTypeFloat32]
                            name:nil];
  CHECK_NEAR(c.run(y), (std::vector<float>{-1, -0.5f, 0.5f, 1}), 0);
}

TEST(softmax) {
  Case c;
  MPSGraphTensor *x = c.input({2, 3}, {1, 2, 3, 0.5f, -0.5f, 0.1f});
  MPSGraphTensor *rows = [c.graph() softMaxWithTensor:x axis:-1 name:nil];
  CHECK_NEAR(c.run(rows),
             (std::vector<float>{0.09003057f, 0.24472847f, 0.66524096f, 0.49062911f, 0.18049233f,
                                 0.32887858f}),
             1e-6);
}
