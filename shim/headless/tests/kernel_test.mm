// Own kernels: libraries from source, pipelines, launches.
#include "check.h"

#include <string>

namespace {

// Sums of the columns of a matrix of 64 columns, whose rows a group's threads share, as
// `onestep-kernel-source` prints kernels.
const char *const kSource = R"(#include <metal_stdlib>
using namespace metal;
#define DEVICE device
#define SHARED threadgroup
#define BARRIER() threadgroup_barrier(mem_flags::mem_threadgroup)
[[kernel, max_total_threads_per_threadgroup(32)]] void column_sums(
    DEVICE const float* a0 [[buffer(0)]],
    DEVICE float* a1 [[buffer(1)]],
    uint group [[threadgroup_position_in_grid]],
    uint worker [[thread_position_in_threadgroup]]) {
  SHARED float part[32];
  float sum = 0.0f;
  for (uint row = worker; row < 100u; row += 32u) sum += a0[row * 64u + group];
  part[worker] = sum;
  BARRIER();
  for (uint reach = 16u; reach > 0u; reach /= 2u) {
    if (worker < reach) part[worker] += part[worker + reach];
    BARRIER();
  }
  if (worker == 0u) a1[group] = part[0];
}
)";

struct Metal {
  id<MTLDevice> device = MTLCreateSystemDefaultDevice();
  id<MTLCommandQueue> queue = [device newCommandQueue];
  ~Metal() {
    [queue release];
    [device release];
  }
  id<MTLLibrary> library(const std::string &source, NSError **error = nullptr) {
    MTLCompileOptions *options = [[[MTLCompileOptions alloc] init] autorelease];
    [options setFastMathEnabled:NO];
    NSString *text = [NSString stringWithUTF8String:source.c_str()];
    return [[device newLibraryWithSource:text options:options error:error] autorelease];
  }
  id<MTLComputePipelineState> pipeline(const std::string &source, NSError **error = nullptr) {
    id<MTLLibrary> compiled = library(source, error);
    NSString *name = [[compiled functionNames] objectAtIndex:0];
    id<MTLFunction> function = [[compiled newFunctionWithName:name] autorelease];
    return [[device newComputePipelineStateWithFunction:function error:error] autorelease];
  }
  id<MTLBuffer> floats(NSUInteger count) {
    return [[device newBufferWithLength:4 * count options:MTLResourceStorageModeShared]
        autorelease];
  }
};

std::string replaced(std::string text, const std::string &from, const std::string &to) {
  return text.replace(text.find(from), from.size(), to);
}

}  // namespace

TEST(a_kernel_runs_with_its_buffers_and_offsets) {
  Metal metal;
  id<MTLComputePipelineState> pipeline = metal.pipeline(kSource);
  CHECK([pipeline maxTotalThreadsPerThreadgroup] == 32);
  CHECK([pipeline threadExecutionWidth] == 32);
  CHECK([pipeline staticThreadgroupMemoryLength] == 128);
  id<MTLBuffer> x = metal.floats(1 + 6400), y = metal.floats(64);
  for (int i = 0; i < 6400; ++i) ((float *)[x contents])[1 + i] = (float)(i % 64);
  id<MTLCommandBuffer> commands = [metal.queue commandBuffer];
  id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
  [encoder setComputePipelineState:pipeline];
  [encoder setBuffer:x offset:4 atIndex:0];
  [encoder setBuffer:y offset:0 atIndex:1];
  [encoder dispatchThreadgroups:MTLSizeMake(64, 1, 1) threadsPerThreadgroup:MTLSizeMake(32, 1, 1)];
  [encoder endEncoding];
  CHECK(((float *)[y contents])[1] == 0.0f);
  [commands commit];
  [commands waitUntilCompleted];
  for (int column = 0; column < 64; ++column)
    CHECK(((float *)[y contents])[column] == 100.0f * (float)column);
}

TEST(what_the_device_does_not_allow_is_an_error) {
  Metal metal;
  NSError *error = nil;
  CHECK(!metal.library(replaced(kSource, "float sum", "double sum"), &error));
  CHECK([[error localizedDescription] rangeOfString:@"double"].length > 0);
  CHECK(!metal.library(replaced(kSource, "worker == 0u", "worker = "), &error));
  CHECK([error code] == MTLLibraryErrorCompileFailure);
  // Names that Metal keeps for itself.
  CHECK(!metal.library(replaced(kSource, "float sum = 0.0f;", "float sum = 0.0f; uint thread = 0u;")));
  CHECK(!metal.pipeline(replaced(kSource, "part[32]", "part[8193]"), &error));
  CHECK([[error localizedDescription] rangeOfString:@"32768"].length > 0);
  CHECK(!metal.pipeline(replaced(kSource, "group(32)", "group(2048)"), &error));
}

TEST(misuse_of_an_encoder_ends_the_process) {
  Metal metal;
  id<MTLComputePipelineState> pipeline = metal.pipeline(kSource);
  id<MTLBuffer> x = metal.floats(6400);
  CHECK_ABORTS({
    id<MTLComputeCommandEncoder> encoder = [[metal.queue commandBuffer] computeCommandEncoder];
    [encoder setComputePipelineState:pipeline];
    [encoder setBuffer:x offset:0 atIndex:0];
    // The second buffer is missing.
    [encoder dispatchThreadgroups:MTLSizeMake(1, 1, 1) threadsPerThreadgroup:MTLSizeMake(32, 1, 1)];
  });
  CHECK_ABORTS({
    id<MTLComputeCommandEncoder> encoder = [[metal.queue commandBuffer] computeCommandEncoder];
    [encoder setComputePipelineState:pipeline];
    [encoder dispatchThreadgroups:MTLSizeMake(1, 1, 1) threadsPerThreadgroup:MTLSizeMake(64, 1, 1)];
  });
  CHECK_ABORTS([metal.device newLibraryWithSource:@"" options:nil error:nil]);
}
