// What a pooling descriptor holds. Unset sizes are 0 and abort when they are used.
#pragma once
#import <MetalPerformanceShadersGraph/MetalPerformanceShadersGraph.h>

struct HeadlessPooling {
  NSUInteger kernelWidth = 0, kernelHeight = 0, strideInX = 0, strideInY = 0, dilationRateInX = 0,
             dilationRateInY = 0;
  NSUInteger paddingLeft = 0, paddingRight = 0, paddingTop = 0, paddingBottom = 0;
  MPSGraphPaddingStyle paddingStyle = MPSGraphPaddingStyleExplicit;
  MPSGraphTensorNamedDataLayout dataLayout = MPSGraphTensorNamedDataLayoutNCHW;
  BOOL ceilMode = NO, includeZeroPadToAverage = NO;
};
