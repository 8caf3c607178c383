// A whole small step as the shim writes it: parameters cut from a flat buffer, cross-entropy from
// elementary operations, the gradients joined again.
#include "run_graph.h"

#include <math.h>

namespace {

// log-softmax and a one-hot product: the mean cross-entropy of rows.
MPSGraphTensor *cross_entropy(MPSGraph *g, MPSGraphTensor *logits, MPSGraphTensor *labels,
                              NSUInteger classes) {
  MPSGraphTensor *largest = [g reductionMaximumWithTensor:logits axis:1 name:nil];
  MPSGraphTensor *shifted = [g subtractionWithPrimaryTensor:logits
                                            secondaryTensor:largest
                                                       name:nil];
  MPSGraphTensor *sum = [g reductionSumWithTensor:[g exponentWithTensor:shifted name:nil]
                                             axis:1
                                             name:nil];
  MPSGraphTensor *logs = [g subtractionWithPrimaryTensor:shifted
                                         secondaryTensor:[g logarithmWithTensor:sum name:nil]
                                                    name:nil];
  MPSGraphTensor *hot = [g oneHotWithIndicesTensor:labels
                                             depth:classes
                                          dataType:MPSDataTypeFloat32
                                              name:nil];
  MPSGraphTensor *hit = [g reductionSumWithTensor:[g multiplicationWithPrimaryTensor:logs
                                                                     secondaryTensor:hot
                                                                                name:nil]
                                             axes:nil
                                             name:nil];
  const double rows = [[[logits shape] objectAtIndex:0] doubleValue];
  return [g multiplicationWithPrimaryTensor:hit
                            secondaryTensor:[g constantWithScalar:-1 / rows
                                                         dataType:MPSDataTypeFloat32]
                                       name:nil];
}

MPSGraphTensor *cut(MPSGraph *g, MPSGraphTensor *flat, long start,
                    std::initializer_list<long> shape) {
  long count = 1;
  for (long size : shape) count *= size;
  MPSGraphTensor *part = [g sliceTensor:flat dimension:0 start:start length:count name:nil];
  return [g reshapeTensor:part withShape:shape_of(shape) name:nil];
}

}  // namespace

TEST(gradient_of_a_network_in_a_flat_buffer) {
  Case c;
  MPSGraph *g = c.graph();
  std::vector<float> values, pixels;
  for (int i = 0; i < 2 * 9 + 2 + 8 * 3 + 3; ++i) values.push_back(sinf((float)i * 1.7f) * 0.5f);
  for (int i = 0; i < 2 * 16; ++i) pixels.push_back(cosf((float)i * 2.3f));
  MPSGraphTensor *flat = c.input({{(long)values.size()}, values});
  MPSGraphTensor *labels = c.integers({2}, {2, 0});
  NSMutableData *data = [NSMutableData dataWithBytes:pixels.data() length:pixels.size() * 4];
  MPSGraphTensor *x = [g constantWithData:data
                                    shape:@[ @2, @1, @4, @4 ]
                                 dataType:MPSDataTypeFloat32];
  MPSGraphTensor *w = cut(g, flat, 0, {2, 1, 3, 3}), *b = cut(g, flat, 18, {1, 2, 1, 1}),
                 *dense = cut(g, flat, 20, {8, 3}), *bias = cut(g, flat, 44, {3});
  MPSGraphConvolution2DOpDescriptor *d =
      [MPSGraphConvolution2DOpDescriptor descriptorWithStrideInX:1
                                                       strideInY:1
                                                 dilationRateInX:1
                                                 dilationRateInY:1
                                                          groups:1
                                                    paddingStyle:MPSGraphPaddingStyleTF_VALID
                                                      dataLayout:MPSGraphTensorNamedDataLayoutNCHW
                                                   weightsLayout:MPSGraphTensorNamedDataLayoutOIHW];
  MPSGraphTensor *h = [g convolution2DWithSourceTensor:x weightsTensor:w descriptor:d name:nil];
  h = [g sigmoidWithTensor:[g additionWithPrimaryTensor:h secondaryTensor:b name:nil] name:nil];
  h = [g reshapeTensor:h withShape:@[ @2, @8 ] name:nil];
  h = [g matrixMultiplicationWithPrimaryTensor:h secondaryTensor:dense name:nil];
  MPSGraphTensor *loss =
      cross_entropy(g, [g additionWithPrimaryTensor:h secondaryTensor:bias name:nil], labels, 3);
  CHECK_GRADIENTS(c, loss, 1e-3);
  // In the parts, joined: the same as in the whole.
  NSArray *parts = @[ w, b, dense, bias ];
  NSDictionary *gradients = [g gradientForPrimaryTensor:loss withTensors:parts name:nil];
  NSMutableArray *flattened = [NSMutableArray array];
  for (MPSGraphTensor *part in parts)
    [flattened addObject:[g reshapeTensor:[gradients objectForKey:part]
                                withShape:@[ @-1 ]
                                     name:nil]];
  MPSGraphTensor *whole = [[g gradientForPrimaryTensor:loss withTensors:@[ flat ]
                                                  name:nil] objectForKey:flat];
  CHECK_NEAR(c.run([g concatTensors:flattened dimension:0 name:nil]), c.run(whole), 1e-6);
}

TEST(tensors_without_influence_have_no_gradient) {
  Case c;
  MPSGraphTensor *x = c.input({1}, {2}), *unused = c.input({1}, {3});
  MPSGraphTensor *y = [c.graph() squareWithTensor:x name:nil];
  NSDictionary *gradients = [c.graph() gradientForPrimaryTensor:y
                                                    withTensors:@[ x, unused ]
                                                           name:nil];
  CHECK([gradients objectForKey:x] && ![gradients objectForKey:unused]);
}
