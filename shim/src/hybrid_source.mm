#include "hybrid_source.h"

@implementation OnestepConvolutionSource

- (instancetype)initWithDescriptor:(MPSCNNConvolutionDescriptor *)descriptor
                       weightCount:(NSUInteger)count {
  if ((self = [super init])) {
    _descriptor = [descriptor retain];
    _weights = [[NSMutableData alloc] initWithLength:count * sizeof(float)];
  }
  return self;
}

- (void)dealloc {
  [_descriptor release];
  [_weights release];
  [super dealloc];
}

// Kernels copy their source; it never changes.
- (id)copyWithZone:(NSZone *)zone {
  (void)zone;
  return [self retain];
}

- (id)copyWithZone:(NSZone *)zone device:(id<MTLDevice>)device {
  (void)zone;
  (void)device;
  return [self retain];
}

- (MPSDataType)dataType {
  return MPSDataTypeFloat32;
}

- (MPSCNNConvolutionDescriptor *)descriptor {
  return _descriptor;
}

- (void *)weights {
  return [_weights mutableBytes];
}

- (float *)biasTerms {
  return NULL;
}

- (BOOL)load {
  return YES;
}

- (void)purge {
}

- (NSString *)label {
  return @"onestep convolution";
}

@end
