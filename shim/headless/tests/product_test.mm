// Matrix products, convolutions and poolings.
#include "run_graph.h"

#include <math.h>

namespace {

// Different numbers without a pattern.
std::vector<float> numbers(int count, unsigned seed = 1) {
  std::vector<float> result;
  for (int i = 0; i < count; ++i) {
    seed = seed * 1664525u + 1013904223u;
    result.push_back((float)(seed >> 16) / 32768.0f - 1.0f);
  }
  return result;
}

struct Geometry {
  NSUInteger stride[2] = {1, 1}, dilation[2] = {1, 1}, low[2] = {0, 0}, high[2] = {0, 0},
             groups = 1;
};

MPSGraphConvolution2DOpDescriptor *convolution(const Geometry &g) {
  return
      [MPSGraphConvolution2DOpDescriptor descriptorWithStrideInX:g.stride[1]
                                                       strideInY:g.stride[0]
                                                 dilationRateInX:g.dilation[1]
                                                 dilationRateInY:g.dilation[0]
                                                          groups:g.groups
                                                     paddingLeft:g.low[1]
                                                    paddingRight:g.high[1]
                                                      paddingTop:g.low[0]
                                                   paddingBottom:g.high[0]
                                                    paddingStyle:MPSGraphPaddingStyleExplicit
                                                      dataLayout:MPSGraphTensorNamedDataLayoutNCHW
                                                   weightsLayout:MPSGraphTensorNamedDataLayoutOIHW];
}

MPSGraphPooling2DOpDescriptor *pooling(NSUInteger height, NSUInteger width, const Geometry &g) {
  return
      [MPSGraphPooling2DOpDescriptor descriptorWithKernelWidth:width
                                                  kernelHeight:height
                                                     strideInX:g.stride[1]
                                                     strideInY:g.stride[0]
                                               dilationRateInX:g.dilation[1]
                                               dilationRateInY:g.dilation[0]
                                                   paddingLeft:g.low[1]
                                                  paddingRight:g.high[1]
                                                    paddingTop:g.low[0]
                                                 paddingBottom:g.high[0]
                                                  paddingStyle:MPSGraphPaddingStyleExplicit
                                                    dataLayout:MPSGraphTensorNamedDataLayoutNCHW];
}

}  // namespace

TEST(matrix_product) {
  Case c;
  MPSGraphTensor *a = c.input({2, 3}, {1, 2, 3, 4, 5, 6}), *b = c.input({3, 2}, {1, 0, 2, 1, 0, 3});
  MPSGraphTensor *y = [c.graph() matrixMultiplicationWithPrimaryTensor:a
                                                       secondaryTensor:b
                                                                  name:nil];
  CHECK_NEAR(c.run(y), (std::vector<float>{5, 11, 14, 23}), 0);
}

TEST(batched_matrix_product_broadcasts) {
  Case c;
  MPSGraphTensor *a = c.input({2, 1, 2, 3}, numbers(12)), *b = c.input({2, 3, 2}, numbers(12, 2));
  MPSGraphTensor *y = [c.graph() matrixMultiplicationWithPrimaryTensor:a
                                                       secondaryTensor:b
                                                                  name:nil];
  CHECK([[y shape] isEqual:(@[ @2, @2, @2, @2 ])]);
}

TEST(convolution_by_hand) {
  Case c;
  MPSGraphTensor *x = c.input({1, 1, 3, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9}),
                 *w = c.input({1, 1, 2, 2}, {1, 0, 0, -1});
  MPSGraphTensor *y = [c.graph() convolution2DWithSourceTensor:x
                                                 weightsTensor:w
                                                    descriptor:convolution({})
                                                          name:nil];
  CHECK_NEAR(c.run(y), (std::vector<float>{-4, -4, -4, -4}), 0);
  Geometry padded;
  padded.low[0] = padded.low[1] = 1;
  MPSGraphTensor *z = [c.graph() convolution2DWithSourceTensor:x
                                                 weightsTensor:w
                                                    descriptor:convolution(padded)
                                                          name:nil];
  CHECK_NEAR(c.run(z), (std::vector<float>{-1, -2, -3, -4, -4, -4, -7, -4, -4}), 0);
}

// sum(a * b)
double product_of(Case &c, MPSGraphTensor *a, MPSGraphTensor *b) {
  const std::vector<float> x = c.run(a), y = c.run(b);
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) sum += (double)x[i] * (double)y[i];
  return sum;
}

// A convolution is linear in each operand and its gradients are the adjoints: dy y = dx x = dw w.
TEST(convolution_gradients_are_adjoint) {
  Geometry geometries[5];
  geometries[1].stride[0] = 2, geometries[1].low[1] = 1, geometries[1].high[0] = 2;
  geometries[2].dilation[1] = 2, geometries[2].low[0] = geometries[2].high[1] = 1;
  geometries[3].groups = 2, geometries[3].stride[1] = 3, geometries[3].low[1] = 2;
  geometries[4].stride[0] = 3, geometries[4].dilation[0] = 2, geometries[4].low[0] = 3;
  for (const Geometry &g : geometries) {
    Case c;
    MPSGraphConvolution2DOpDescriptor *d = convolution(g);
    const long per_group = 4 / (long)g.groups;
    MPSGraphTensor *x = c.input({2, 4, 5, 5}, numbers(200));
    MPSGraphTensor *w = c.input({{2, per_group, 3, 2}, numbers((int)(2 * per_group * 6), 3)});
    MPSGraphTensor *y = [c.graph() convolution2DWithSourceTensor:x
                                                   weightsTensor:w
                                                      descriptor:d
                                                            name:nil];
    // A gradient that is as different everywhere as the output is.
    MPSGraphTensor *dy = [c.graph() sinWithTensor:y name:nil];
    MPSGraphTensor *dx = [c.graph() convolution2DDataGradientWithIncomingGradientTensor:dy
                                                                          weightsTensor:w
                                                                            outputShape:[x shape]
                                                           forwardConvolutionDescriptor:d
                                                                                   name:nil];
    MPSGraphTensor *dw =
        [c.graph() convolution2DWeightsGradientWithIncomingGradientTensor:dy
                                                             sourceTensor:x
                                                              outputShape:[w shape]
                                             forwardConvolutionDescriptor:d
                                                                     name:nil];
    const double want = product_of(c, dy, y);
    CHECK(fabs(product_of(c, dx, x) - want) < 1e-4 * (1 + fabs(want)));
    CHECK(fabs(product_of(c, dw, w) - want) < 1e-4 * (1 + fabs(want)));
  }
}

TEST(convolution_layouts) {
  Case c;
  MPSGraphTensor *x = c.input({2, 3, 4, 4}, numbers(96)),
                 *w = c.input({2, 3, 3, 3}, numbers(54, 9));
  MPSGraphConvolution2DOpDescriptor *d = convolution({});
  MPSGraphTensor *y = [c.graph() convolution2DWithSourceTensor:x
                                                 weightsTensor:w
                                                    descriptor:d
                                                          name:nil];
  MPSGraphConvolution2DOpDescriptor *last = [[d copy] autorelease];
  [last setDataLayout:MPSGraphTensorNamedDataLayoutNHWC];
  [last setWeightsLayout:MPSGraphTensorNamedDataLayoutHWIO];
  MPSGraphTensor *z =
      [c.graph() convolution2DWithSourceTensor:[c.graph() transposeTensor:x
                                                              permutation:@[ @0, @2, @3, @1 ]
                                                                     name:nil]
                                 weightsTensor:[c.graph() transposeTensor:w
                                                              permutation:@[ @2, @3, @1, @0 ]
                                                                     name:nil]
                                    descriptor:last
                                          name:nil];
  CHECK_NEAR(c.run([c.graph() transposeTensor:z permutation:@[ @0, @3, @1, @2 ] name:nil]),
             c.run(y), 1e-6);
}

TEST(maximum_pooling) {
  Case c;
  MPSGraphTensor *x = c.input({1, 1, 3, 3}, {1, 9, 3, -4, 5, 6, 7, 8, 2});
  MPSGraphTensor *y = [c.graph() maxPooling2DWithSourceTensor:x
                                                   descriptor:pooling(2, 2, {})
                                                         name:nil];
  CHECK_NEAR(c.run(y), (std::vector<float>{9, 9, 8, 8}), 0);
  Geometry g;
  g.stride[0] = g.stride[1] = 2;
  g.low[0] = g.low[1] = 1;
  g.dilation[1] = 2;
  MPSGraphTensor *z = [c.graph() maxPooling2DWithSourceTensor:x
                                                   descriptor:pooling(2, 2, g)
                                                         name:nil];
  CHECK_NEAR(c.run(z), (std::vector<float>{9, 8}), 0);
}

TEST(maximum_pooling_gives_the_gradient_to_the_first) {
  Case c;
  MPSGraphTensor *x = c.input({1, 1, 2, 2}, {3, 3, 3, 3}), *dy = c.input({1, 1, 1, 1}, {2});
  MPSGraphTensor *dx = [c.graph() maxPooling2DGradientWithGradientTensor:dy
                                                            sourceTensor:x
                                                              descriptor:pooling(2, 2, {})
                                                                    name:nil];
  CHECK_NEAR(c.run(dx), (std::vector<float>{2, 0, 0, 0}), 0);
}

TEST(average_pooling) {
  Case c;
  MPSGraphTensor *x = c.input({1, 1, 2, 2}, {1, 2, 3, 4});
  Geometry g;
  g.low[0] = g.low[1] = 1;
  MPSGraphPooling2DOpDescriptor *d = pooling(2, 2, g);
  MPSGraphTensor *y = [c.graph() avgPooling2DWithSourceTensor:x descriptor:d name:nil];
  CHECK_NEAR(c.run(y), (std::vector<float>{1, 1.5f, 2, 2.5f}), 1e-6);
  [d setIncludeZeroPadToAverage:YES];
  MPSGraphTensor *z = [c.graph() avgPooling2DWithSourceTensor:x descriptor:d name:nil];
  CHECK_NEAR(c.run(z), (std::vector<float>{0.25f, 0.75f, 1, 2.5f}), 1e-6);
  MPSGraphTensor *dy = c.input({1, 1, 2, 2}, {4, 8, 12, 16});
  MPSGraphTensor *dx = [c.graph() avgPooling2DGradientWithGradientTensor:dy
                                                            sourceTensor:x
                                                              descriptor:d
                                                                    name:nil];
  CHECK_NEAR(c.run(dx), (std::vector<float>{10, 6, 7, 4}), 1e-6);
}

TEST(ceiling_mode_adds_a_window) {
  Case c;
  MPSGraphTensor *x = c.input({1, 1, 1, 4}, {1, 2, 3, 4});
  Geometry g;
  g.stride[1] = 2;
  MPSGraphPooling2DOpDescriptor *d = pooling(1, 3, g);
  CHECK_NEAR(c.run([c.graph() maxPooling2DWithSourceTensor:x descriptor:d name:nil]), {3}, 0);
  [d setCeilMode:YES];
  CHECK_NEAR(c.run([c.graph() maxPooling2DWithSourceTensor:x descriptor:d name:nil]),
             (std::vector<float>{3, 4}), 0);
}

TEST(same_padding) {
  Case c;
  MPSGraphTensor *x = c.input({1, 1, 1, 5}, {1, 1, 1, 1, 1}), *w = c.input({1, 1, 1, 3}, {1, 1, 1});
  MPSGraphConvolution2DOpDescriptor *d = convolution({});
  [d setPaddingStyle:MPSGraphPaddingStyleTF_SAME];
  CHECK_NEAR(c.run([c.graph() convolution2DWithSourceTensor:x
                                              weightsTensor:w
                                                 descriptor:d
                                                       name:nil]),
             (std::vector<float>{2, 3, 3, 3, 2}), 0);
}
