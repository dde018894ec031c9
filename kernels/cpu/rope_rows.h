// Rotary embedding of rows, see RopeArgs in kernel_training.h: (u, v) becomes (u cos − v sin, v cos + u sin).
// Source: Su et al. 2021, https://arxiv.org/abs/2104.09864
#pragma once
#include "kernels/cpu/kernel_training.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/simd/vec.h"

namespace triga {
namespace {

inline int64_t rope_tiles(const RopeArgs& a) { return a.rows; }

inline void rope_run(const RopeArgs& a, int64_t begin, int64_t end, void*) {
  const int64_t half = a.half, width = a.head_dim;
  for (int64_t row = begin * a.heads; row < end * a.heads; ++row) {
    const float* x = a.x + row * width;
    float* y = a.y + row * width;
    const float* cos = a.cos + row / a.heads * half;
    const float* sin = a.sin + row / a.heads * half;
    if (a.interleaved) {
      for (int64_t i = 0; i < half; ++i) {
        const float u = x[2 * i], v = x[2 * i + 1];
        y[2 * i] = u * cos[i] - v * sin[i];
        y[2 * i + 1] = v * cos[i] + u * sin[i];
      }
    } else {
      for (int64_t i = 0; i < half; i += 16) {
        const int64_t n = half - i;
        const F32x16 u = load_upto(x + i, n), v = load_upto(x + half + i, n);
        const F32x16 c = load_upto(cos + i, n), s = load_upto(sin + i, n);
        store_upto(u * c - v * s, y + i, n);
        store_upto(v * c + u * s, y + half + i, n);
      }
    }
    for (int64_t i = 2 * half; i < width; i += 16)
      store_upto(load_upto(x + i, width - i), y + i, width - i);
  }
}

}  // namespace
}  // namespace triga
