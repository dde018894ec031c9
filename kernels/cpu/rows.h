// Rows of a table picked by number, and the sum back into them: see kernel_training.h.
#pragma once
#include "kernels/cpu/kernel_training.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/simd/vec.h"

namespace triga {
namespace {

inline int64_t gather_tiles(const GatherArgs& a) { return a.count; }
inline void gather_run(const GatherArgs& a, int64_t begin, int64_t end, void*) {
  for (int64_t i = begin; i < end; ++i) {
    __builtin_memcpy(a.y + i * a.width, a.x + a.rows[i] * a.width,
                     static_cast<size_t>(a.width) * sizeof(float));
  }
}

constexpr int64_t kScatterRows = 256;  // of the table, a tile
inline int64_t scatter_add_tiles(const ScatterAddArgs& a) { return ceil_div(a.size, kScatterRows); }
// Each tile looks at all numbers: a table has few tiles beside the numbers that one row costs.
inline void scatter_add_run(const ScatterAddArgs& a, int64_t begin, int64_t end, void*) {
  const int64_t from = begin * kScatterRows, to = least(end * kScatterRows, a.size);
  for (int64_t i = from * a.width; i < to * a.width; i += 16)
    store_upto(F32x16::zero(), a.y + i, to * a.width - i);
  for (int64_t r = 0; r < a.count; ++r) {
    const int64_t row = a.rows[r];
    if (row < from || row >= to) continue;
    const float* x = a.x + r * a.width;
    float* y = a.y + row * a.width;
    for (int64_t i = 0; i < a.width; i += 16) {
      const int64_t n = a.width - i;
      store_upto(load_upto(y + i, n) + load_upto(x + i, n), y + i, n);
    }
  }
}

}  // namespace
}  // namespace triga
