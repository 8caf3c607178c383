#include "run_graph.h"

#include <math.h>

TEST(addition_broadcasts) {
  Case c;
  MPSGraphTensor *a = c.input({2, 3}, {1, 2, 3, 4, 5, 6}), *b = c.input({3}, {10, 20, 30});
  MPSGraphTensor *sum = [c.graph() additionWithPrimaryTensor:a secondaryTensor:b name:nil];
  CHECK_NEAR(c.run(sum), (std::vector<float>{11, 22, 33, 14, 25, 36}), 0);
  CHECK_GRADIENTS(c, sum);
}
