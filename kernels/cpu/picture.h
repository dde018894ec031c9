// Kernels over pictures without weights: pool2d, upsample2d, group_norm; see kernel.h for what each
// computes. Rows of pixels go 16 at a time, tails masked. Errors: the mean of a window as an f32 sum
// in order; group_norm about (1024 / 32 + pixels / 1024 + channels) · 2^−24, that of its sums.
#pragma once
#include "kernels/cpu/conv2d.h"
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/reduce.h"
#include "kernels/cpu/simd/vec.h"

namespace triga {
namespace {

// Folds what 16 windows of an output row from `column` on have under them.
template <class F>
TRIGA_INLINE F32x16 pool_windows(const Window& w, const float* x, int64_t row, int64_t column,
                                 F32x16 start, F step) {
  alignas(64) float seen[16];
  F32x16 acc = start;
  for (int64_t ky = 0; ky < w.kernel_h; ++ky) {
    const int64_t y = row * w.stride_h + ky - w.pad_h;
    if (y < 0 || y >= w.height) continue;
    for (int64_t kx = 0; kx < w.kernel_w; ++kx) {
      window_row(x + y * w.width, w.width, column * w.stride_w + kx - w.pad_w, w.stride_w, start,
                 seen);
      acc = step(acc, F32x16::load(seen));
    }
  }
  return acc;
}

inline int64_t pool2d_tiles(const Pool2dArgs& a) { return a.planes; }
inline void pool2d_run(const Pool2dArgs& a, int64_t begin, int64_t end, void*) {
  const Window& w = a.window;
  const F32x16 count = F32x16::set(static_cast<float>(w.kernel_h * w.kernel_w));
  for (int64_t i = begin * w.out_height; i < end * w.out_height; ++i) {
    const float* x = a.x + i / w.out_height * w.height * w.width;
    const int64_t row = i % w.out_height;
    for (int64_t column = 0; column < w.out_width; column += 16) {
      const F32x16 v = a.op == PoolOp::kMax
                           ? pool_windows(w, x, row, column, F32x16::set(-HUGE_VALF),
                                          [](F32x16 acc, F32x16 v) { return max_nan(acc, v); })
                           : pool_windows(w, x, row, column, F32x16::zero(),
                                          [](F32x16 acc, F32x16 v) { return acc + v; }) /
                                 count;
      store_upto(v, a.y + i * w.out_width + column, w.out_width - column);
    }
  }
}

inline int64_t upsample2d_tiles(const Upsample2dArgs& a) { return a.planes; }
inline void upsample2d_run(const Upsample2dArgs& a, int64_t begin, int64_t end, void*) {
  const int64_t wide = a.width * a.scale;
  for (int64_t row = begin * a.height; row < end * a.height; ++row) {
    const float* x = a.x + row * a.width;
    float* y = a.y + row * a.scale * wide;
    for (int64_t i = 0; i < a.width; ++i) {
      for (int64_t s = 0; s < a.scale; ++s) y[i * a.scale + s] = x[i];
    }
    for (int64_t s = 1; s < a.scale; ++s)
      __builtin_memcpy(y + s * wide, y, static_cast<size_t>(wide) * sizeof(float));
  }
}

struct GroupMoments {
  float mean, scale;  // scale = rsqrt(var + eps)
};
inline GroupMoments group_moments(const float* x, int64_t channels, int64_t pixels, float eps) {
  const int64_t size = channels * pixels;
  float total = 0, squares = 0;
  for (int64_t c = 0; c < channels; ++c) total += reduce_sum(x + c * pixels, pixels);
  const F32x16 mean = F32x16::set(total / static_cast<float>(size));
  for (int64_t i = 0; i < size; i += kPiece) {
    squares += sum_over(x + i, least(kPiece, size - i), [=](F32x16 v, F32x16 s) {
      const F32x16 d = v - mean;
      return fma(d, d, s);
    });
  }
  return {total / static_cast<float>(size), rms_scale(squares, size, eps)};
}

inline int64_t group_norm_tiles(const GroupNormArgs& a) { return a.images * a.groups; }
inline void group_norm_run(const GroupNormArgs& a, int64_t begin, int64_t end, void*) {
  const int64_t size = a.channels * a.pixels;
  for (int64_t g = begin; g < end; ++g) {
    const float* x = a.x + g * size;
    float* y = a.y + g * size;
    const GroupMoments m = group_moments(x, a.channels, a.pixels, a.eps);
    const F32x16 mean = F32x16::set(m.mean), scale = F32x16::set(m.scale);
    for (int64_t c = 0; c < a.channels; ++c) {
      const int64_t channel = g % a.groups * a.channels + c, first = c * a.pixels;
      const F32x16 weight = F32x16::set(a.weight[channel]), bias = F32x16::set(a.bias[channel]);
      for (int64_t i = first; i < first + a.pixels; i += 16) {
        const int64_t n = first + a.pixels - i;
        store_upto((load_upto(x + i, n) - mean) * scale * weight + bias, y + i, n);
      }
    }
  }
}

}  // namespace
}  // namespace triga
