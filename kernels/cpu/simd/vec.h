// F32x16: 16 floats in whatever registers the instruction set has, so that one vector is a row of a
// weight panel or of a KV block everywhere, and a sum over lanes has the same order everywhere.
// Only per-level units include this.
//
// What each of the headers below defines, in namespace triga, unnamed namespace:
//   F32x16    zero, set, load(p), load(p, n) and store(p, n) of the first n lanes (0 … 16; the rest read as 0),
//             + − * /, fma(a, b, c) = a · b + c (one rounding, but two on the scalar level),
//             max(a, b) and min(a, b) (b where either is NaN), sqrt, abs, round_small (nearest even, |x| < 2^22),
//             scale2(x, n) = x · 2^n for integral n in [−252, 252] with one rounding, sign_of, with_sign,
//             sum and max_lane over the lanes by halving (i with i + 8, then + 4, + 2, + 1)
//   Mask16    of less, equal, is_nan; select(mask, a, b), mask | mask
//   first(n)  the mask of the first n lanes
//   load_f16, load_bf16, store_f16, store_bf16: 16 elements; load_bf16_even, load_bf16_odd: halves of 16 pairs
//   store_bf16_pairs(a, b, p): 16 pairs of a's and b's numbers as bf16, a's in the low halves
//   transpose16(m): 16 × 16 words in memory, aligned to 64, in place
//   prefetch(p): the line of p, which need not exist
//   kMaxTileRows, tile_panels(rows): the register tile of matrix products, in rows × vectors
//   kDirectRows: up to so many rows, matrix products widen f16 and bf16 weights in each register tile, beyond in memory
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>

#define TRIGA_INLINE inline __attribute__((always_inline))

#if defined(__AVX512F__)
#include "kernels/cpu/simd/vec_avx512.h"
#elif defined(__AVX2__)
#include "kernels/cpu/simd/vec_avx2.h"
#else
#include "kernels/cpu/simd/vec_quad.h"
#endif

#if !defined(__AVX512F__)
namespace triga {
namespace {

TRIGA_INLINE void store_bf16_pairs(F32x16 a, F32x16 b, uint32_t* p) {
  uint16_t low[16], high[16];
  store_bf16(a, low);
  store_bf16(b, high);
  for (int i = 0; i < 16; ++i) p[i] = low[i] | static_cast<uint32_t>(high[i]) << 16;
}

}  // namespace
}  // namespace triga
#endif
