// The rate of products of bf16 matrix tiles (simd/amx.h), where the level multiplies bf16 weights by them; see peaks.h.
#pragma once
#include "kernels/cpu/peaks.h"
#include "kernels/cpu/simd/amx.h"

namespace triga {
namespace {

#if defined(__AMX_BF16__)

constexpr int64_t kTileProductOps = 2 * 16 * 16 * 32;

// Four sums of 16 × 16 at once, as in linear_amx.h, with operands that stay in their registers.
inline void peak_amx_run(const PeakComputeArgs&, int64_t begin, int64_t end, void* scratch) {
  static_assert(kPeakTileOps % (4 * kTileProductOps) == 0, "tiles are whole rounds");
  TileShapes shapes;
  for (int t = 0; t < 8; ++t) shapes.rows[t] = 16, shapes.row_bytes[t] = 64;
  set_tile_shapes(shapes);
  alignas(64) float numbers[4][256];
  for (float& x : numbers[0]) x = 1;
  load_tile<4>(numbers[0], 64);
  load_tile<5>(numbers[0], 64);
  load_tile<6>(numbers[0], 64);
  load_tile<7>(numbers[0], 64);
  zero_tile<0>();
  zero_tile<1>();
  zero_tile<2>();
  zero_tile<3>();
  for (int64_t i = (end - begin) * (kPeakTileOps / (4 * kTileProductOps)); i > 0; --i) {
    dot_tile_bf16<0, 4, 6>();
    dot_tile_bf16<1, 4, 7>();
    dot_tile_bf16<2, 5, 6>();
    dot_tile_bf16<3, 5, 7>();
  }
  store_tile<0>(numbers[0], 64);
  store_tile<1>(numbers[1], 64);
  store_tile<2>(numbers[2], 64);
  store_tile<3>(numbers[3], 64);
  release_tiles();
  F32x16 sum = F32x16::zero();
  for (const float* p = numbers[0]; p < numbers[0] + 4 * 256; p += 16) sum = sum + F32x16::load(p);
  sum.store(static_cast<float*>(scratch));
}
constexpr Kernel<PeakComputeArgs> peak_dot_kernel() {
  return {peak_compute_tiles, peak_scratch, peak_amx_run};
}
#endif

}  // namespace
}  // namespace triga
