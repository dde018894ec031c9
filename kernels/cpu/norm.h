// rms: y = x · rsqrt(mean(x²) + eps) · weight. layer: y = (x − mean) · rsqrt(var + eps) · weight +
// bias, var biased and taken about the mean in a second pass. Sums: 16 lanes of two accumulators in
// turn, then halves, so the order depends on the length alone. Tails are masked. Relative error
// about cols / 32 · 2^−24, that of the sum.
#pragma once
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/simd/vec.h"

namespace triga {
namespace {

// Folds n elements by s = f(vector, s) and sums the lanes; lanes past the end leave s as it was.
template <class F>
TRIGA_INLINE float sum_over(const float* x, int64_t n, F f) {
  F32x16 s0 = F32x16::zero(), s1 = F32x16::zero();
  int64_t i = 0;
  for (; i + 32 <= n; i += 32) {
    s0 = f(F32x16::load(x + i), s0);
    s1 = f(F32x16::load(x + i + 16), s1);
  }
  if (i + 16 <= n) {
    s0 = f(F32x16::load(x + i), s0);
    i += 16;
  }
  if (i < n) {
    const Mask16 valid = first(n - i);
    s1 = select(valid, f(F32x16::load(x + i, n - i), s1), s1);
  }
  return sum(s0 + s1);
}

inline float sum_squares(const float* x, int64_t n) {
  return sum_over(x, n, [](F32x16 v, F32x16 s) { return fma(v, v, s); });
}

TRIGA_INLINE float rms_scale(float squares, int64_t n, float eps) {
  return 1.0f / __builtin_sqrtf(squares / static_cast<float>(n) + eps);
}

inline int64_t norm_tiles(const NormArgs& a) { return a.rows; }

inline void rms_norm_run(const NormArgs& a, int64_t begin, int64_t end, void*) {
  for (int64_t r = begin; r < end; ++r) {
    const float* x = a.x + r * a.x_stride;
    float* y = a.y + r * a.y_stride;
    const F32x16 scale = F32x16::set(rms_scale(sum_squares(x, a.cols), a.cols, a.eps));
    for (int64_t i = 0; i < a.cols; i += 16) {
      const int64_t n = a.cols - i;
      F32x16 v = load_upto(x + i, n) * scale;
      if (a.weight) v = v * load_upto(a.weight + i, n);
      if (a.bias) v = v + load_upto(a.bias + i, n);
      store_upto(v, y + i, n);
    }
  }
}

inline void layer_norm_run(const NormArgs& a, int64_t begin, int64_t end, void*) {
  const float inverse = 1.0f / static_cast<float>(a.cols);
  for (int64_t r = begin; r < end; ++r) {
    const float* x = a.x + r * a.x_stride;
    float* y = a.y + r * a.y_stride;
    const float total = sum_over(x, a.cols, [](F32x16 v, F32x16 s) { return s + v; });
    const F32x16 mean = F32x16::set(total * inverse);
    const float squares = sum_over(x, a.cols, [=](F32x16 v, F32x16 s) {
      const F32x16 d = v - mean;
      return fma(d, d, s);
    });
    const F32x16 scale = F32x16::set(rms_scale(squares, a.cols, a.eps));
    for (int64_t i = 0; i < a.cols; i += 16) {
      const int64_t n = a.cols - i;
      F32x16 v = (load_upto(x + i, n) - mean) * scale;
      if (a.weight) v = v * load_upto(a.weight + i, n);
      if (a.bias) v = v + load_upto(a.bias + i, n);
      store_upto(v, y + i, n);
    }
  }
}

}  // namespace
}  // namespace triga
