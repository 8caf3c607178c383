// The descriptor of poolings.
#include "pooling.h"

#define FIELD(type, getter, Setter)  \
  -(type)getter {                    \
    return _headless->getter;        \
  }                                  \
  -(void)set##Setter : (type)value { \
    _headless->getter = value;       \
  }

@implementation MPSGraphPooling2DOpDescriptor

+ (instancetype)descriptorWithKernelWidth:(NSUInteger)kernelWidth
                             kernelHeight:(NSUInteger)kernelHeight
                                strideInX:(NSUInteger)strideInX
                                strideInY:(NSUInteger)strideInY
                          dilationRateInX:(NSUInteger)dilationRateInX
                          dilationRateInY:(NSUInteger)dilationRateInY
                              paddingLeft:(NSUInteger)paddingLeft
                             paddingRight:(NSUInteger)paddingRight
                               paddingTop:(NSUInteger)paddingTop
                            paddingBottom:(NSUInteger)paddingBottom
                             paddingStyle:(MPSGraphPaddingStyle)paddingStyle
                               dataLayout:(MPSGraphTensorNamedDataLayout)dataLayout {
  MPSGraphPooling2DOpDescriptor *descriptor = [[[self alloc] init] autorelease];
  *descriptor->_headless = {
      kernelWidth,     kernelHeight, strideInX,    strideInY,  dilationRateInX,
      dilationRateInY, paddingLeft,  paddingRight, paddingTop, paddingBottom,
      paddingStyle,    dataLayout,   NO,           NO};
  return descriptor;
}

+ (instancetype)descriptorWithKernelWidth:(NSUInteger)kernelWidth
                             kernelHeight:(NSUInteger)kernelHeight
                                strideInX:(NSUInteger)strideInX
                                strideInY:(NSUInteger)strideInY
                             paddingStyle:(MPSGraphPaddingStyle)paddingStyle
                               dataLayout:(MPSGraphTensorNamedDataLayout)dataLayout {
  return [self descriptorWithKernelWidth:kernelWidth
                            kernelHeight:kernelHeight
                               strideInX:strideInX
                               strideInY:strideInY
                         dilationRateInX:1
                         dilationRateInY:1
                             paddingLeft:0
                            paddingRight:0
                              paddingTop:0
                           paddingBottom:0
                            paddingStyle:paddingStyle
                              dataLayout:dataLayout];
}

- (instancetype)init {
  if ((self = [super init])) _headless = new HeadlessPooling;
  return self;
}

- (void)dealloc {
  delete _headless;
  [super dealloc];
}

- (id)copyWithZone:(NSZone *)zone {
  MPSGraphPooling2DOpDescriptor *copy = [[MPSGraphPooling2DOpDescriptor alloc] init];
  *copy->_headless = *_headless;
  return copy;
}

- (void)setExplicitPaddingWithPaddingLeft:(NSUInteger)paddingLeft
                             paddingRight:(NSUInteger)paddingRight
                               paddingTop:(NSUInteger)paddingTop
                            paddingBottom:(NSUInteger)paddingBottom {
  _headless->paddingLeft = paddingLeft;
  _headless->paddingRight = paddingRight;
  _headless->paddingTop = paddingTop;
  _headless->paddingBottom = paddingBottom;
}

FIELD(NSUInteger, kernelWidth, KernelWidth)
FIELD(NSUInteger, kernelHeight, KernelHeight)
FIELD(NSUInteger, strideInX, StrideInX)
FIELD(NSUInteger, strideInY, StrideInY)
FIELD(NSUInteger, dilationRateInX, DilationRateInX)
FIELD(NSUInteger, dilationRateInY, DilationRateInY)
FIELD(NSUInteger, paddingLeft, PaddingLeft)
FIELD(NSUInteger, paddingRight, PaddingRight)
FIELD(NSUInteger, paddingTop, PaddingTop)
FIELD(NSUInteger, paddingBottom, PaddingBottom)
FIELD(MPSGraphPaddingStyle, paddingStyle, PaddingStyle)
FIELD(MPSGraphTensorNamedDataLayout, dataLayout, DataLayout)
FIELD(BOOL, ceilMode, CeilMode)
FIELD(BOOL, includeZeroPadToAverage, IncludeZeroPadToAverage)
@end
