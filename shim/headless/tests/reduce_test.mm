#include "run_graph.h"

#include <math.h>

TEST(reductions_keep_axes) {
  Case c;
  MPSGraphTensor *x = c.input({2, 2, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  MPSGraphTensor *y = [c.graph() reductionSumWithTensor:x axes:@[ @0, @2 ] name:nil];
  CHECK([[y shape] isEqual:(@[ @1, @2, @1 ])]);
  CHECK_NEAR(c.run(y), (std::vector<float>{30, 48}), 0);
  CHECK_NEAR(c.run([c.graph() reductionSumWithTensor:x axis:-1 name:nil]),
             (std::vector<float>{6, 15, 24, 33}), 0);
  CHECK_NEAR(c.run([c.graph() reductionMaximumWithTensor:x axis:1 name:nil]),
             (std::vector<float>{4, 5, 6, 10, 11, 12}), 0);
  CHECK_NEAR(c.run([c.graph() reductionMinimumWithTensor:x axes:nil name:nil]), {1}, 0);
  CHECK_NEAR(c.run([c.graph() reductionProductWithTensor:x axes:@[ @0, @1 ] name:nil]),
             (std::vector<float>{280, 880, 1944}), 0);
}

TEST(not_a_number_in_reductions) {
  Case c;
  MPSGraphTensor *x = c.input({3}, {1, NAN, 3});
  CHECK_NEAR(c.run([c.graph() reductionMaximumWithTensor:x axis:0 name:nil]), {3}, 0);
  CHECK_NEAR(c.run([c.graph() reductionMaximumPropagateNaNWithTensor:x axis:0 name:nil]), {NAN}, 0);
  CHECK_NEAR(c.run([c.graph() reductionMinimumPropagateNaNWithTensor:x axis:0 name:nil]), {NAN}, 0);
}

TEST(arg_extrema) {
  Case c;
  MPSGraphTensor *x = c.input({2, 3}, {3, 5, 5, 7, 1, 0});
  MPSGraphTensor *y = [c.graph() reductionArgMaximumWithTensor:x axis:1 name:nil];
  CHECK([y dataType] == MPSDataTypeInt32);
  CHECK_NEAR(c.run(y), (std::vector<float>{1, 0}), 0);
  CHECK_NEAR(c.run([c.graph() reductionArgMaximumWithTensor:x axis:0 name:nil]),
             (std::vector<float>{1, 0, 0}), 0);
  CHECK_NEAR(c.run([c.graph() reductionArgMinimumWithTensor:x axis:1 name:nil]),
             (std::vector<float>{0, 2}), 0);
}

TEST(long_sums_stay_accurate) {
  Case c;
  MPSGraphTensor *x = c.input({{1000003}, std::vector<float>(1000003, 0.1f)});
  CHECK_NEAR(c.run([c.graph() reductionSumWithTensor:x axis:0 name:nil]), {100000.3f}, 1e-6);
}

TEST(arg_extrema_pass_over_what_is_no_number) {
  Case c;
  MPSGraphTensor *x = c.input({3, 3}, {NAN, 1, 2, NAN, NAN, NAN, -INFINITY, NAN, -INFINITY});
  MPSGraphTensor *y = [c.graph() reductionArgMaximumWithTensor:x axis:1 name:nil];
  CHECK_NEAR(c.run(y), (std::vector<float>{2, -1, 0}), 0);
}
