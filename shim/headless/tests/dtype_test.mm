#include "run_graph.h"

#include <math.h>

TEST(half_precision_rounds_like_the_compiler) {
  // Every binary16 number and the points between neighbours, through a cast and back.
  std::vector<float> numbers;
  for (uint32_t bits = 0; bits < 0x7c00; bits += 37) {
    const uint16_t low = (uint16_t)bits, high = (uint16_t)(bits + 1);
    const float a = (float)*(const _Float16 *)&low, b = (float)*(const _Float16 *)&high;
    for (float x : {a, -a, (a + b) / 2, a + (b - a) * 0.75f}) numbers.push_back(x);
  }
  numbers.insert(numbers.end(), {65504, 65519, 65520, 1e6f, INFINITY, -INFINITY, NAN, 1e-8f, 0});
  std::vector<float> want;
  for (float x : numbers) want.push_back((float)(_Float16)x);
  Case c;
  MPSGraphTensor *x = c.input({{(long)numbers.size()}, numbers});
  MPSGraphTensor *half = [c.graph() castTensor:x toType:MPSDataTypeFloat16 name:nil];
  CHECK_NEAR(c.run(half), want, 0);
  CHECK_NEAR(c.run([c.graph() castTensor:half toType:MPSDataTypeFloat32 name:nil]), want, 0);
}

TEST(bfloat16_rounds_to_nearest_even) {
  Case c;
  MPSGraphTensor *x = c.input({6}, {1.0f, 1.00390625f, 1.01171875f, 3.3895314e38f, -1.0f, NAN});
  CHECK_NEAR(c.run([c.graph() castTensor:x toType:MPSDataTypeBFloat16 name:nil]),
             (std::vector<float>{1.0f, 1.0f, 1.015625f, 3.3895314e38f, -1.0f, NAN}), 0);
}

TEST(casts_between_kinds) {
  Case c;
  MPSGraphTensor *x = c.input({5}, {-2.7f, -0.5f, 0, 0.5f, 300});
  CHECK_NEAR(c.run([c.graph() castTensor:x toType:MPSDataTypeInt32 name:nil]),
             (std::vector<float>{-2, 0, 0, 0, 300}), 0);
  CHECK_NEAR(c.run([c.graph() castTensor:x toType:MPSDataTypeInt64 name:nil]),
             (std::vector<float>{-2, 0, 0, 0, 300}), 0);
  CHECK_NEAR(c.run([c.graph() castTensor:x toType:MPSDataTypeBool name:nil]),
             (std::vector<float>{1, 1, 0, 1, 1}), 0);
  MPSGraphTensor *bytes = c.input({{3}, {0, 7, 255}, MPSDataTypeUInt8});
  CHECK_NEAR(c.run([c.graph() castTensor:bytes toType:MPSDataTypeFloat32 name:nil]),
             (std::vector<float>{0, 7, 255}), 0);
}

TEST(casts_to_integers_stop_at_the_limits) {
  Case c;
  MPSGraphTensor *x = c.input({4}, {1e20f, -1e20f, NAN, 300});
  CHECK_NEAR(c.run([c.graph() castTensor:x toType:MPSDataTypeInt32 name:nil]),
             (std::vector<float>{2147483647.0f, -2147483648.0f, 0, 300}), 0);
  CHECK_NEAR(c.run([c.graph() castTensor:x toType:MPSDataTypeUInt8 name:nil]),
             (std::vector<float>{255, 0, 0, 255}), 0);
}

TEST(low_precision_accumulates_in_f32) {
  for (MPSDataType dtype : {MPSDataTypeFloat16, MPSDataTypeBFloat16}) {
    Case c;
    MPSGraphTensor *a = c.input({{1, 64}, std::vector<float>(64, 1.0f), dtype});
    MPSGraphTensor *b = c.input({{64, 1}, std::vector<float>(64, 2.0f), dtype});
    CHECK_NEAR(c.run([c.graph() matrixMultiplicationWithPrimaryTensor:a
                                                      secondaryTensor:b
                                                                 name:nil]),
               {128}, 0);
    CHECK_NEAR(c.run([c.graph() reductionSumWithTensor:b axis:0 name:nil]), {128}, 0);
  }
}

TEST(integer_arithmetic) {
  Case c;
  MPSGraphTensor *a = c.integers({3}, {7, -7, 5}), *b = c.integers({3}, {2, 2, -3});
  CHECK_NEAR(c.run([c.graph() divisionWithPrimaryTensor:a secondaryTensor:b name:nil]),
             (std::vector<float>{3, -3, -1}), 0);
  CHECK_NEAR(c.run([c.graph() multiplicationWithPrimaryTensor:a secondaryTensor:b name:nil]),
             (std::vector<float>{14, -14, -15}), 0);
  CHECK_NEAR(c.run([c.graph() reductionSumWithTensor:a axis:0 name:nil]), {5}, 0);
}
