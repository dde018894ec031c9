// Kernels called on their own, on operands in plain layouts: they are packed, the pool computes, and the calling thread waits.
// For tests and measurements. Both throw EngineError where memory or a thread is not to be had.
#pragma once
#include <cstdint>

#include "kernels/cpu/kernel.h"

namespace triga {

// y[m, n] = a_scale[m] · Σ_g b_scale[n, g] · Σ_{k in g} a[m, k] · b[n, k]; groups of `group` k, the last one may be shorter.
// The sum within a group is exact (group is at most kMaxDirectGroup), the chain over groups f32.
struct DirectInt8Gemm {
  const int8_t* a;
  const int8_t* b;
  const float* a_scale;
  const float* b_scale;
  float* y;
  int64_t m, n, k, group;
};
// Σ w · x of a group fits 32 bits, with weights from 0 to 255.
constexpr int64_t kMaxDirectGroup = 65536;
void RunDirect(const CpuKernels& kernels, int threads, const DirectInt8Gemm& gemm);

// q, y [rows, heads, head_dim]; k, v [keys, kv_heads, head_dim]; row t stands at position keys − rows + t. scale 1 / √head_dim.
struct DirectAttention {
  const float* q;
  const float* k;
  const float* v;
  float* y;
  int64_t rows, keys, heads, kv_heads, head_dim, window;
  bool causal;
};
void RunDirect(const CpuKernels& kernels, int threads, const DirectAttention& attention);

}  // namespace triga
