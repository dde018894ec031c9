// The dot product of bf16 pairs, where the level has it: acc + a0 · b0 + a1 · b1 in each lane, as
// vdpbf16ps rounds it (subnormals count as 0; the odd product is added before the even one).
#pragma once
#include "kernels/cpu/simd/vec.h"

namespace triga {
namespace {

#if defined(__AVX512BF16__)
constexpr bool kHasDotBF16 = true;
TRIGA_INLINE F32x16 dot_bf16(F32x16 acc, const uint16_t* pair, const uint16_t* weights) {
  int32_t a;
  __builtin_memcpy(&a, pair, 4);
  return {_mm512_dpbf16_ps(acc.v, (__m512bh)_mm512_set1_epi32(a),
                           (__m512bh)_mm512_loadu_si512(weights))};
}
#else
constexpr bool kHasDotBF16 = false;
TRIGA_INLINE F32x16 dot_bf16(F32x16 acc, const uint16_t*, const uint16_t*) { return acc; }
#endif

}  // namespace
}  // namespace triga
