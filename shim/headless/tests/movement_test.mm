#include "run_graph.h"

#include <math.h>

namespace {

std::vector<float> iota(int count) {
  std::vector<float> numbers;
  for (int i = 0; i < count; ++i) numbers.push_back((float)i);
  return numbers;
}

}  // namespace

TEST(reshape_with_an_unknown_size) {
  Case c;
  MPSGraphTensor *y = [c.graph() reshapeTensor:c.input({2, 3, 2}, iota(12))
                                     withShape:@[ @-1, @4 ]
                                          name:nil];
  CHECK([[y shape] isEqual:(@[ @3, @4 ])]);
  CHECK_NEAR(c.run(y), iota(12), 0);
}

TEST(transposes) {
  Case c;
  MPSGraphTensor *x = c.input({2, 3, 2}, iota(12));
  MPSGraphTensor *y = [c.graph() transposeTensor:x permutation:@[ @2, @0, @1 ] name:nil];
  CHECK_NEAR(c.run(y), (std::vector<float>{0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11}), 0);
  MPSGraphTensor *z = [c.graph() transposeTensor:x dimension:0 withDimension:1 name:nil];
  CHECK_NEAR(c.run(z), (std::vector<float>{0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11}), 0);
}

TEST(broadcasts) {
  Case c;
  MPSGraphTensor *x = c.input({3, 1}, {1, 2, 3});
  MPSGraphTensor *y = [c.graph() broadcastTensor:x toShape:@[ @2, @3, @2 ] name:nil];
  CHECK_NEAR(c.run(y), (std::vector<float>{1, 1, 2, 2, 3, 3, 1, 1, 2, 2, 3, 3}), 0);
}

TEST(slices) {
  Case c;
  MPSGraphTensor *x = c.input({3, 5}, iota(15));
  MPSGraphTensor *y = [c.graph() sliceTensor:x
                                      starts:@[ @1, @0 ]
                                        ends:@[ @3, @5 ]
                                     strides:@[ @1, @2 ]
                                        name:nil];
  CHECK_NEAR(c.run(y), (std::vector<float>{5, 7, 9, 10, 12, 14}), 0);
  MPSGraphTensor *z = [c.graph() sliceTensor:x dimension:1 start:3 length:2 name:nil];
  CHECK_NEAR(c.run(z), (std::vector<float>{3, 4, 8, 9, 13, 14}), 0);
}

TEST(concatenation) {
  Case c;
  MPSGraphTensor *a = c.input({2, 1}, {1, 2}), *b = c.input({2, 2}, {3, 4, 5, 6});
  MPSGraphTensor *y = [c.graph() concatTensors:@[ a, b, a ] dimension:-1 name:nil];
  CHECK_NEAR(c.run(y), (std::vector<float>{1, 3, 4, 1, 2, 5, 6, 2}), 0);
  CHECK_NEAR(c.run([c.graph() concatTensor:b withTensor:b dimension:0 name:nil]),
             (std::vector<float>{3, 4, 5, 6, 3, 4, 5, 6}), 0);
}

TEST(padding) {
  Case c;
  MPSGraphTensor *x = c.input({2, 2}, {1, 2, 3, 4});
  MPSGraphTensor *y = [c.graph() padTensor:x
                           withPaddingMode:MPSGraphPaddingModeConstant
                               leftPadding:@[ @1, @0 ]
                              rightPadding:@[ @0, @1 ]
                             constantValue:9
                                      name:nil];
  CHECK_NEAR(c.run(y), (std::vector<float>{9, 9, 9, 1, 2, 9, 3, 4, 9}), 0);
}

TEST(squeeze_and_expand) {
  Case c;
  MPSGraphTensor *x = c.input({1, 3, 1}, {1, 2, 3});
  CHECK([[[c.graph() squeezeTensor:x axes:@[ @0 ] name:nil] shape] isEqual:(@[ @3, @1 ])]);
  CHECK([[[c.graph() expandDimsOfTensor:x axes:@[ @1, @-1 ]
                                   name:nil] shape] isEqual:(@[ @1, @1, @3, @1, @1 ])]);
}

TEST(coordinates) {
  Case c;
  CHECK_NEAR(c.run([c.graph() coordinateAlongAxis:1 withShape:@[ @2, @3 ] name:nil]),
             (std::vector<float>{0, 1, 2, 0, 1, 2}), 0);
  CHECK_NEAR(c.run([c.graph() coordinateAlongAxis:0 withShape:@[ @2, @3 ] name:nil]),
             (std::vector<float>{0, 0, 0, 1, 1, 1}), 0);
}

TEST(gather_rows) {
  Case c;
  MPSGraphTensor *table = c.input({3, 2}, {1, 2, 3, 4, 5, 6}),
                 *indices = c.integers({2, 2}, {2, 0, 2, -1});
  MPSGraphTensor *y = [c.graph() gatherWithUpdatesTensor:table
                                           indicesTensor:indices
                                                    axis:0
                                         batchDimensions:0
                                                    name:nil];
  CHECK([[y shape] isEqual:(@[ @2, @2, @2 ])]);
  CHECK_NEAR(c.run(y), (std::vector<float>{5, 6, 1, 2, 5, 6, 0, 0}), 0);
  MPSGraphTensor *columns = [c.graph() gatherWithUpdatesTensor:table
                                                 indicesTensor:c.integers({3}, {1, 1, 0})
                                                          axis:1
                                               batchDimensions:0
                                                          name:nil];
  CHECK_NEAR(c.run(columns), (std::vector<float>{2, 2, 1, 4, 4, 3, 6, 6, 5}), 0);
}

TEST(scatter_adds) {
  Case c;
  MPSGraphTensor *updates = c.input({4, 2}, {1, 2, 3, 4, 5, 6, 7, 8}),
                 *indices = c.integers({4}, {1, 1, 5, 0});
  MPSGraphTensor *y = [c.graph() scatterWithUpdatesTensor:updates
                                            indicesTensor:indices
                                                    shape:@[ @3, @2 ]
                                                     axis:0
                                                     mode:MPSGraphScatterModeAdd
                                                     name:nil];
  CHECK_NEAR(c.run(y), (std::vector<float>{7, 8, 4, 6, 0, 0}), 0);
}

TEST(one_hot) {
  Case c;
  MPSGraphTensor *labels = c.integers({3}, {1, 3, -1});
  MPSGraphTensor *y = [c.graph() oneHotWithIndicesTensor:labels
                                                   depth:3
                                                dataType:MPSDataTypeFloat32
                                                    name:nil];
  CHECK_NEAR(c.run(y), (std::vector<float>{0, 1, 0, 0, 0, 0, 0, 0, 0}), 0);
  MPSGraphTensor *z = [c.graph() oneHotWithIndicesTensor:labels
                                                   depth:2
                                                    axis:0
                                                dataType:MPSDataTypeFloat32
                                                 onValue:5
                                                offValue:-1
                                                    name:nil];
  CHECK_NEAR(c.run(z), (std::vector<float>{-1, -1, -1, 5, -1, -1}), 0);
}
