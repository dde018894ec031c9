// f32 matrices transposed, see TransposeArgs in kernel.h.
#pragma once
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/simd/vec.h"

namespace triga {
namespace {

inline int64_t transpose_tiles(const TransposeArgs& a) { return ceil_div(a.rows, 16); }
inline void transpose_run(const TransposeArgs& a, int64_t begin, int64_t end, void*) {
  alignas(64) uint32_t words[16 * 16];
  float* block = reinterpret_cast<float*>(words);
  for (int64_t tile = begin; tile < end; ++tile) {
    const int64_t row = tile * 16, rows = least(16, a.rows - row);
    for (int64_t k = 0; k < a.k; k += 16) {
      const int64_t count = least(16, a.k - k);
      for (int64_t i = 0; i < 16; ++i) {
        const F32x16 v =
            i < count ? F32x16::load(a.x + (k + i) * a.x_stride + row, rows) : F32x16::zero();
        v.store(block + i * 16);
      }
      transpose16(words);
      for (int64_t r = 0; r < rows; ++r)
        F32x16::load(block + r * 16).store(a.y + (row + r) * a.y_stride + k, count);
    }
  }
}

}  // namespace
}  // namespace triga
