// The right counterpart of mistakes.mm: the check must find nothing here.
#import <Foundation/Foundation.h>
#import <Metal/Metal.h>
#import <MetalPerformanceShaders/MetalPerformanceShaders.h>
#import <MetalPerformanceShadersGraph/MetalPerformanceShadersGraph.h>

void graphs(MPSGraph *g, MPSGraphTensor *x, MPSGraphTensor *w) {
  MPSGraphConvolution2DOpDescriptor *d = [[MPSGraphConvolution2DOpDescriptor new] autorelease];
  (void)[g convolution2DWithSourceTensor:x weightsTensor:w descriptor:d name:nil];
  (void)[g reLUWithTensor:x name:nil];
  NSDictionary<MPSGraphTensor *, MPSGraphTensor *> *gradients = [g gradientForPrimaryTensor:x withTensors:@[ w ] name:@"g"];
  (void)[gradients objectForKey:w];
  (void)[g reshapeTensor:x withShape:@[ @2, @3 ] name:nil];
  (void)[g reductionSumWithTensor:x axes:@[ @1 ] name:nil];
  if (@available(macOS 15.0, *))
    (void)[g scaledDotProductAttentionWithQueryTensor:x keyTensor:x valueTensor:x scale:1 name:nil];
  MPSGraphTensor *s = [g additionWithPrimaryTensor:x secondaryTensor:w name:nil];
  MPSGraphTensor *n = [g constantWithScalar:1.0 dataType:MPSDataTypeFloat32];
  (void)s, (void)n;
  for (NSNumber *size in x.shape) (void)[size unsignedIntegerValue];
  MPSDataType t = x.dataType;
  d.dataLayout = MPSGraphTensorNamedDataLayoutNCHW;
  d.groups = 1;
  (void)t;
  id any = g;
  (void)[any placeholderTensors];
  (void)@selector(constantWithScalar:dataType:);
}

void devices(id<MTLDevice> device, id<MTLCommandQueue> queue, id<MTLBuffer> buffer) {
  id<MTLBuffer> other = [device newBufferWithLength:4 options:MTLResourceStorageModeShared | MTLResourceCPUCacheModeWriteCombined];
  (void)[[MPSGraphTensorData alloc] initWithMTLBuffer:buffer shape:@[ @1 ] dataType:MPSDataTypeFloat32];
  id<MTLCommandBuffer> commands = [queue commandBuffer];
  [commands addCompletedHandler:^(id<MTLCommandBuffer> done) {
    (void)(done.status == MTLCommandBufferStatusCompleted);
    NSLog(@"%@", [done.error localizedDescription]);
  }];
  if (other) [[commands blitCommandEncoder] copyFromBuffer:buffer sourceOffset:0 toBuffer:other destinationOffset:0 size:4];
  [commands commit];
  id<MTLDevice> first = MTLCreateSystemDefaultDevice();
  [first release];
  (void)device.maxThreadgroupMemoryLength;
  MTLSize size = {1, 1, 1};
  (void)size;
  if (@available(macOS 15.0, *)) (void)[[MTLResidencySetDescriptor new] autorelease];
  @try {
    [NSException raise:NSRangeException format:@"%d", 1];
  } @catch (NSException *e) {
    (void)[e.reason UTF8String];
  }
}

@interface Kernel : MPSCNNConvolutionDescriptor
@end
@implementation Kernel
- (void)dealloc {
  [super dealloc];
}
@end
