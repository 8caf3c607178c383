// Mistakes that the check must find. Each line with `// seed GROUP:` holds one, and must be an error of
// that warning group (`error` for errors of the language). Errors on other lines fail the check.
#import <Foundation/Foundation.h>
#import <Metal/Metal.h>
#import <MetalPerformanceShaders/MetalPerformanceShaders.h>
#import <MetalPerformanceShadersGraph/MetalPerformanceShadersGraph.h>

void graphs(MPSGraph *g, MPSGraphTensor *x, MPSGraphTensor *w) {
  MPSGraphConvolution2DOpDescriptor *d = [[MPSGraphConvolution2DOpDescriptor new] autorelease];
  (void)[g convolution2DWithSourceTensor:x weightTensor:w descriptor:d name:nil];  // seed objc-method-access: a letter short
  (void)[g reLUWithTensor:x];                                     // seed objc-method-access: no name:
  (void)[g convolution2DWithSourceTensor:x weightsTensor:d descriptor:d name:nil];  // seed error: descriptor for a tensor
  (void)[g convolution2DWithSourceTensor:x weightsTensor:w descriptor:d name:"n"];  // seed error: a C string
  (void)[g convolution2DWithSourceTensor:x weightsTensor:nil descriptor:d name:nil];  // seed nonnull: nil weights
  (void)[g gradientForPrimaryTensor:x withTensors:x name:nil];    // seed error: a tensor for an array
  (void)[g reshapeTensor:x withShape:@[ @"2" ] name:nil];         // seed objc-literal-conversion: a string dimension
  (void)[g reductionSumWithTensor:x axes:1 name:nil];             // seed error: a number for an array of axes
  (void)[g scaledDotProductAttentionWithQueryTensor:x keyTensor:x valueTensor:x scale:1 name:nil];  // seed unguarded-availability-new: macOS 15
  (void)[g stencilWithSourceTensor:x weightsTensor:w descriptor:d name:nil];  // seed error: another descriptor class
  NSString *s = [g additionWithPrimaryTensor:x secondaryTensor:w name:nil];  // seed error: result's class
  NSInteger n = [g constantWithScalar:1.0 dataType:MPSDataTypeFloat32];  // seed error: result is no number
  (void)s, (void)n;
  x.dataType = MPSDataTypeFloat32;                                // seed error: read-only property
  (void)x.shapes;                                                 // seed error: no such property
  (void)x.getShape;                                               // seed error: no such getter
  MPSDataType t = MTLPixelFormatR8Unorm;                          // seed error: another enum
  d.dataLayout = MPSGraphPaddingStyleTF_SAME;                     // seed error: another enum
  d.groups = nil;                                                 // seed error: nil for a number
  (void)t;
  [MPSGraph graph];                                               // seed objc-method-access: no such class method
  [g undefined];                                                  // seed objc-method-access: no such method
  id any = g;
  [any convolution2DWithSource:x];                                // seed objc-method-access: no class has it
  (void)@selector(convolution2DWithSource:);                      // seed undeclared-selector: no class has it
}

void devices(id<MTLDevice> device, id<MTLCommandQueue> queue, id<MTLBuffer> buffer) {
  (void)[device newBufferWithLenght:4 options:MTLResourceStorageModeShared];  // seed objc-method-access: spelling
  (void)[device newBufferWithLength:4 options:buffer];            // seed error: a buffer for options
  (void)[[MPSGraphTensorData alloc] initWithMTLBuffer:queue shape:@[ @1 ] dataType:MPSDataTypeFloat32];  // seed error: another protocol
  id<MTLCommandBuffer> commands = [queue commandBuffer];
  [commands addCompletedHandler:^(id<MTLBuffer>) {}];             // seed error: the handler's argument
  [commands commit:YES];                                          // seed objc-method-access: commit takes nothing
  [[commands blitCommandEncoder] copyFromBuffer:buffer sourceOffset:0 toBuffer:nil destinationOffset:0 size:4];  // seed nonnull: nil destination
  (void)[commands computePassDescriptor];                         // seed objc-method-access: no such method
  (void)[queue residencySets];                                    // seed objc-method-access: no such method
  [queue addResidencySet:nil];                                    // seed unguarded-availability-new: macOS 15
  (void)MTLCreateSystemDefaultDevice(0);                          // seed error: takes no argument
  (void)device.maxThreadgroupMemoryLengths;                       // seed error: no such property
  MTLSize size = {1, 1, 1, 1};                                    // seed error: three dimensions
  (void)size;
  (void)[MTLResidencySetDescriptor new];                          // seed unguarded-availability-new: macOS 15
}

@interface Source : NSObject <MPSCNNConvolutionDataSource>
@end
@implementation Source                                            // seed protocol: required methods are missing
- (void)dealloc {
}                                                                 // seed objc-missing-super-calls: leaks
@end

@interface Weights : NSObject <MPSCNNConvolutionDataSource>
@end
@implementation Weights                                           // seed protocol: load is missing
- (MPSDataType)dataType {
  return MPSDataTypeFloat32;
}
- (MPSCNNConvolutionDescriptor *)descriptor {
  return [[MPSCNNConvolutionDescriptor new] autorelease];
}
- (float)weights {                                                // seed mismatched-return-types: a number for a pointer
  return 0;
}
- (float *)biasTerms {
  return nullptr;
}
- (BOOL)load:(BOOL)again {
  return again;
}
- (void)purge {
}
- (NSString *)label {
  return nil;
}
- (id)copyWithZone:(NSZone *)zone {
  (void)zone;
  return [self retain];
}
@end
