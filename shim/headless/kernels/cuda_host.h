// The part of CUDA's language that printed kernels use, for a C++ compiler of the host.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#define __global__
#define __device__
#define __forceinline__ inline
#define __shared__ static thread_local
#define __launch_bounds__(threads)
struct host_index { unsigned int x; };
static thread_local host_index threadIdx, blockIdx;
extern "C" void host_barrier();
inline void __syncthreads() { host_barrier(); }
inline unsigned int __umulhi(unsigned int x, unsigned int y) { return (unsigned int)(((uint64_t)x * y) >> 32); }
inline unsigned int __float_as_uint(float x) { unsigned int bits; std::memcpy(&bits, &x, 4); return bits; }
inline float __uint_as_float(unsigned int bits) { float x; std::memcpy(&x, &bits, 4); return x; }
