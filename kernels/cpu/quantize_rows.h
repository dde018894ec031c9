// Rows of floats to rows of bytes with a scale each, see QuantizeRowsArgs in kernel.h, and the norms that end in them. Every step
// is one correctly rounded f32 operation, so equal rows give equal bytes on every level. Tails are masked.
#pragma once
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/norm.h"
#include "kernels/cpu/simd/int8.h"
#include "kernels/cpu/simd/vec.h"

namespace triga {
namespace {

inline int64_t whole_groups(int64_t k) { return ceil_div(k, kGroup) * kGroup; }

inline void quantize_row(const float* x, int64_t k, int8_t* q, float* scale) {
  F32x16 greatest = F32x16::zero(), strange = F32x16::zero();
  for (int64_t i = 0; i < k; i += 16) {
    const F32x16 v = load_upto(x + i, k - i);
    greatest = max(abs(v), greatest);
    strange = fma(v, F32x16::zero(), strange);  // 0, or NaN for what is not finite
  }
  const float s = max_lane(greatest) / 127.0f + sum(strange);
  *scale = s;
  const bool some = s > 0;  // false for NaN
  const F32x16 divisor = F32x16::set(some ? s : 1.0f), most = F32x16::set(127.0f);
  for (int64_t i = 0; i < whole_groups(k); i += 16) {
    F32x16 v = F32x16::zero();
    if (some && i < k) v = round_small(load_upto(x + i, k - i) / divisor);
    // A scale that is not a normal number is off by more than a half: then x / s leaves the range.
    store_i8(max(min(v, most), F32x16::zero() - most), q + i);
  }
}

inline int64_t quantize_rows_tiles(const QuantizeRowsArgs& a) { return a.rows; }
inline void quantize_rows_run(const QuantizeRowsArgs& a, int64_t begin, int64_t end, void*) {
  for (int64_t r = begin; r < end; ++r)
    quantize_row(a.x + r * a.x_stride, a.k, a.q + r * whole_groups(a.k), a.scale + r);
}

inline int64_t quantized_norm_tiles(const QuantizedNormArgs& a) { return norm_tiles(a.norm); }
inline size_t quantized_norm_scratch(const QuantizedNormArgs& a) {
  return static_cast<size_t>(a.norm.cols) * sizeof(float);
}
// Each row by the norm itself, so that the bytes are those of the norm and quantize_rows one after the other.
template <void (*norm_run)(const NormArgs&, int64_t, int64_t, void*)>
void quantized_norm_run(const QuantizedNormArgs& a, int64_t begin, int64_t end, void* scratch) {
  for (int64_t r = begin; r < end; ++r) {
    NormArgs row = a.norm;
    row.x += r * row.x_stride;
    row.y = static_cast<float*>(scratch);
    norm_run(row, 0, 1, nullptr);
    quantize_row(row.y, row.cols, a.q + r * whole_groups(row.cols), a.scale + r);
  }
}

}  // namespace
}  // namespace triga
