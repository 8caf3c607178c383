// What Apple's compiler refuses aborts here as well, when the graph is built.
#include "run_graph.h"

namespace {

struct Tensors {
  Case c;
  MPSGraph *g = c.graph();
  MPSGraphTensor *f23 = [g placeholderWithShape:@[ @2, @3 ] dataType:MPSDataTypeFloat32 name:nil];
  MPSGraphTensor *f45 = [g placeholderWithShape:@[ @4, @5 ] dataType:MPSDataTypeFloat32 name:nil];
  MPSGraphTensor *h23 = [g placeholderWithShape:@[ @2, @3 ] dataType:MPSDataTypeFloat16 name:nil];
  MPSGraphTensor *i23 = [g placeholderWithShape:@[ @2, @3 ] dataType:MPSDataTypeInt32 name:nil];
  MPSGraphTensor *picture = [g placeholderWithShape:@[ @1, @4, @6, @6 ]
                                           dataType:MPSDataTypeFloat32
                                               name:nil];
  MPSGraphTensor *weights = [g placeholderWithShape:@[ @8, @4, @3, @3 ]
                                           dataType:MPSDataTypeFloat32
                                               name:nil];
};

MPSGraphConvolution2DOpDescriptor *descriptor() {
  return
      [MPSGraphConvolution2DOpDescriptor descriptorWithStrideInX:1
                                                       strideInY:1
                                                 dilationRateInX:1
                                                 dilationRateInY:1
                                                          groups:1
                                                    paddingStyle:MPSGraphPaddingStyleExplicit
                                                      dataLayout:MPSGraphTensorNamedDataLayoutNCHW
                                                   weightsLayout:MPSGraphTensorNamedDataLayoutOIHW];
}

}  // namespace

TEST(mismatched_operands_abort) {
  Tensors t;
  CHECK_ABORTS([t.g additionWithPrimaryTensor:t.f23 secondaryTensor:t.f45 name:nil]);
  CHECK_ABORTS([t.g additionWithPrimaryTensor:t.f23 secondaryTensor:t.i23 name:nil]);
  CHECK_ABORTS([t.g additionWithPrimaryTensor:t.f23 secondaryTensor:t.h23 name:nil]);
  CHECK_ABORTS([t.g additionWithPrimaryTensor:t.f23 secondaryTensor:nil name:nil]);
  CHECK_ABORTS([t.g exponentWithTensor:t.i23 name:nil]);
  CHECK_ABORTS([t.g selectWithPredicateTensor:t.f23
                          truePredicateTensor:t.f23
                         falsePredicateTensor:t.f23
                                         name:nil]);
  CHECK_ABORTS([t.g logicalANDWithPrimaryTensor:t.f23 secondaryTensor:t.f23 name:nil]);
  CHECK_ABORTS([t.g matrixMultiplicationWithPrimaryTensor:t.f23 secondaryTensor:t.f45 name:nil]);
  CHECK_ABORTS([t.g matrixMultiplicationWithPrimaryTensor:t.i23 secondaryTensor:t.i23 name:nil]);
  CHECK_ABORTS([t.g concatTensors:@[ t.f23, t.f45 ] dimension:0 name:nil]);
  CHECK_ABORTS([t.g concatTensors:@[ t.f23, t.i23 ] dimension:0 name:nil]);
}

TEST(wrong_shapes_and_axes_abort) {
  Tensors t;
  CHECK_ABORTS([t.g reshapeTensor:t.f23 withShape:@[ @4 ] name:nil]);
  CHECK_ABORTS([t.g broadcastTensor:t.f23 toShape:@[ @2, @4 ] name:nil]);
  CHECK_ABORTS([t.g transposeTensor:t.f23 permutation:@[ @0, @0 ] name:nil]);
  CHECK_ABORTS([t.g reductionSumWithTensor:t.f23 axis:2 name:nil]);
  CHECK_ABORTS([t.g sliceTensor:t.f23
                         starts:@[ @0, @0 ]
                           ends:@[ @2, @4 ]
                        strides:@[ @1, @1 ]
                           name:nil]);
  CHECK_ABORTS([t.g gatherWithUpdatesTensor:t.f23
                              indicesTensor:t.f23
                                       axis:0
                            batchDimensions:0
                                       name:nil]);
  CHECK_ABORTS([t.g placeholderWithShape:@[ @-1, @3 ] dataType:MPSDataTypeFloat32 name:nil]);
  CHECK_ABORTS([t.g placeholderWithShape:@[ @3 ]
                                dataType:(MPSDataType)0x10000040
                                    name:nil]);  // f64
  CHECK_ABORTS([t.g constantWithData:[NSData data] shape:@[ @1 ] dataType:MPSDataTypeFloat32]);
  CHECK_ABORTS([t.g randomUniformTensorWithShape:@[ @4 ] stateTensor:t.i23 name:nil]);
}

TEST(unfinished_descriptors_abort) {
  Tensors t;
  MPSGraphConvolution2DOpDescriptor *empty = [[MPSGraphConvolution2DOpDescriptor new] autorelease];
  CHECK_ABORTS([t.g convolution2DWithSourceTensor:t.picture
                                    weightsTensor:t.weights
                                       descriptor:empty
                                             name:nil]);
  CHECK_ABORTS([t.g convolution2DWithSourceTensor:t.picture
                                    weightsTensor:t.weights
                                       descriptor:nil
                                             name:nil]);
  MPSGraphConvolution2DOpDescriptor *d = descriptor();
  (void)[t.g convolution2DWithSourceTensor:t.picture weightsTensor:t.weights descriptor:d name:nil];
  [d setGroups:0];
  CHECK_ABORTS([t.g convolution2DWithSourceTensor:t.picture
                                    weightsTensor:t.weights
                                       descriptor:d
                                             name:nil]);
  [d setGroups:2];
  CHECK_ABORTS([t.g convolution2DWithSourceTensor:t.picture
                                    weightsTensor:t.weights
                                       descriptor:d
                                             name:nil]);
  d = descriptor();
  [d setWeightsLayout:MPSGraphTensorNamedDataLayoutNCHW];
  CHECK_ABORTS([t.g convolution2DWithSourceTensor:t.picture
                                    weightsTensor:t.weights
                                       descriptor:d
                                             name:nil]);
  CHECK_ABORTS([t.g maxPooling2DWithSourceTensor:t.picture
                                      descriptor:[[MPSGraphPooling2DOpDescriptor new] autorelease]
                                            name:nil]);
}

TEST(other_graphs_abort) {
  Tensors t;
  Case other;
  MPSGraphTensor *foreign = other.input({2, 3}, {1, 2, 3, 4, 5, 6});
  CHECK_ABORTS([t.g additionWithPrimaryTensor:t.f23 secondaryTensor:foreign name:nil]);
}

TEST(a_missing_selector_is_named) {
  Case c;
  MPSGraphTensor *x = c.input({1}, {1});
  NSString *reason = nil;
  @try {
    [c.graph() performSelector:NSSelectorFromString(@"tanWithTensor:name:")
                    withObject:x
                    withObject:nil];
  } @catch (NSException *exception) {
    reason = [exception reason];
  }
  CHECK(reason && [reason rangeOfString:@"tanWithTensor:name:"].location != NSNotFound);
}
