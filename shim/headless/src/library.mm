// Libraries, functions and pipelines of own kernels.
#include "kernels.h"
#include "runtime.h"

NSString *const MTLLibraryErrorDomain = @"MTLLibraryErrorDomain";

@implementation MTLCompileOptions
@synthesize fastMathEnabled = _fastMathEnabled;

- (instancetype)init {
  if ((self = [super init])) _fastMathEnabled = YES;
  return self;
}

- (id)copyWithZone:(NSZone *)zone {
  MTLCompileOptions *copy = [[MTLCompileOptions allocWithZone:zone] init];
  [copy setFastMathEnabled:_fastMathEnabled];
  return copy;
}
@end

@implementation HeadlessFunction
@synthesize label = _label;

- (instancetype)initWithKernel:(const headless::Kernel &)kernel {
  if ((self = [super init])) _kernel = new headless::Kernel(kernel);
  return self;
}
- (void)dealloc {
  delete _kernel;
  [_label release];
  [super dealloc];
}
- (id<MTLDevice>)device {
  return headless::shared_device();
}
- (NSString *)name {
  return [NSString stringWithUTF8String:_kernel->name.c_str()];
}
@end

@implementation HeadlessLibrary
@synthesize label = _label;

- (instancetype)initWithKernels:(std::vector<headless::Kernel>)kernels {
  if ((self = [super init])) _kernels = new std::vector<headless::Kernel>(std::move(kernels));
  return self;
}
- (void)dealloc {
  delete _kernels;
  [_label release];
  [super dealloc];
}
- (id<MTLDevice>)device {
  return headless::shared_device();
}
- (NSArray<NSString *> *)functionNames {
  NSMutableArray *names = [NSMutableArray array];
  for (const headless::Kernel &kernel : *_kernels)
    [names addObject:[NSString stringWithUTF8String:kernel.name.c_str()]];
  return names;
}
- (id<MTLFunction>)newFunctionWithName:(NSString *)functionName {
  for (const headless::Kernel &kernel : *_kernels) {
    if (kernel.name == [functionName UTF8String])
      return [[HeadlessFunction alloc] initWithKernel:kernel];
  }
  return nil;
}
@end

@implementation HeadlessPipeline
- (instancetype)initWithKernel:(const headless::Kernel &)kernel {
  if ((self = [super init])) _kernel = new headless::Kernel(kernel);
  return self;
}
- (void)dealloc {
  delete _kernel;
  [super dealloc];
}
- (NSString *)label {
  return nil;
}
- (id<MTLDevice>)device {
  return headless::shared_device();
}
- (NSUInteger)maxTotalThreadsPerThreadgroup {
  return _kernel->threads;
}
- (NSUInteger)threadExecutionWidth {
  return headless::kSimdWidth;
}
- (NSUInteger)staticThreadgroupMemoryLength {
  return _kernel->threadgroup_bytes;
}
@end

namespace headless {
namespace {

NSError *library_error(MTLLibraryError code, const std::string &text) {
  NSString *description = [NSString stringWithUTF8String:text.c_str()];
  NSDictionary *info = [NSDictionary dictionaryWithObject:description
                                                   forKey:NSLocalizedDescriptionKey];
  return [NSError errorWithDomain:MTLLibraryErrorDomain code:(NSInteger)code userInfo:info];
}

// What is too much for the device.
std::string limit(const Kernel &kernel) {
  if (kernel.arguments.size() > kMostBuffers)
    return "buffer index beyond 30: " + std::to_string(kernel.arguments.size()) + " buffers";
  if (kernel.threadgroup_bytes > kThreadgroupBytes)
    return "threadgroup memory size (" + std::to_string(kernel.threadgroup_bytes) +
           ") exceeds the maximum (32768)";
  if (kernel.threads > kMostThreads) return std::to_string(kernel.threads) + " threads a group";
  return "";
}

}  // namespace

id<MTLLibrary> new_library(NSString *source, MTLCompileOptions *options, NSError **error) {
  if (!options || [options fastMathEnabled]) {
    // The text says the same, but to newer systems alone.
    fail_assertion("newLibraryWithSource: fast math changes what kernels mean");
  }
  const std::string text = [source UTF8String];
  std::vector<Kernel> kernels = kernels_of(text);
  std::string why;
  if (take_fault(HEADLESS_FAULT_COMPILE)) why = "an injected fault";
  if (why.empty() && compile_kernels(text, kernels, why)) {
    ++counters().compiles;
    return [[HeadlessLibrary alloc] initWithKernels:std::move(kernels)];
  }
  if (error) *error = library_error(MTLLibraryErrorCompileFailure, why);
  return nil;
}

id<MTLComputePipelineState> new_pipeline(id<MTLFunction> function, NSError **error) {
  if (![(id)function isKindOfClass:[HeadlessFunction class]])
    fail_assertion("newComputePipelineStateWithFunction: no function");
  const Kernel &kernel = *((HeadlessFunction *)function)->_kernel;
  const std::string why = limit(kernel);
  if (why.empty()) return [[HeadlessPipeline alloc] initWithKernel:kernel];
  if (error) *error = library_error(MTLLibraryErrorUnsupported, why);
  return nil;
}

}  // namespace headless
