// Own kernels: text in Metal's language, compiled for the host.
#pragma once
#import <Metal/Metal.h>
#include <memory>
#include <string>
#include <vector>
#include "metal.h"

namespace headless {

// The most that Apple's tables allow of a kernel.
constexpr size_t kMostBuffers = 31;
constexpr size_t kThreadgroupBytes = 32 << 10;
constexpr size_t kMostThreads = 1024;
constexpr size_t kSimdWidth = 32;

// A function of a text.
struct Kernel {
  using Entry = void (*)(void *const *buffers, unsigned group, unsigned thread);
  using Run = void (*)(Entry, void *const *buffers, unsigned groups, unsigned threads, int waits,
                       uint64_t seed);
  std::string name;
  // The type of each argument's elements.
  std::vector<std::string> arguments;
  size_t threads = 0;            // of a group, at most
  size_t threadgroup_bytes = 0;  // declared in it
  bool waits = false;            // whether threads of a group wait for each other
  Entry entry = nullptr;
  Run run = nullptr;
};

// What a text declares, without its compilation.
std::vector<Kernel> kernels_of(const std::string &source);

// Compiles a text and fills in the entries. Nothing, and why, where that fails.
bool compile_kernels(const std::string &source, std::vector<Kernel> &kernels, std::string &error);

// What the device's methods do.
id<MTLLibrary> new_library(NSString *source, MTLCompileOptions *options, NSError **error);
id<MTLComputePipelineState> new_pipeline(id<MTLFunction> function, NSError **error);

}  // namespace headless

@interface HeadlessFunction : NSObject <MTLFunction> {
 @public
  headless::Kernel *_kernel;
  NSString *_label;
}
- (instancetype)initWithKernel:(const headless::Kernel &)kernel;
@end

@interface HeadlessLibrary : NSObject <MTLLibrary> {
 @public
  std::vector<headless::Kernel> *_kernels;
  NSString *_label;
}
- (instancetype)initWithKernels:(std::vector<headless::Kernel>)kernels;
@end

@interface HeadlessPipeline : NSObject <MTLComputePipelineState> {
 @public
  headless::Kernel *_kernel;
}
- (instancetype)initWithKernel:(const headless::Kernel &)kernel;
@end

@interface HeadlessComputeEncoder : NSObject <MTLComputeCommandEncoder> {
 @public
  HeadlessCommandBuffer *_commandBuffer;
  HeadlessPipeline *_pipeline;
  NSMutableDictionary *_buffers;
  std::vector<size_t> *_offsets;
  NSString *_label;
  BOOL _ended;
}
- (instancetype)initWithCommandBuffer:(HeadlessCommandBuffer *)commandBuffer;
@end
