// F32x16 as one zmm register. See vec.h.
#pragma once
#ifndef TRIGA_EMULATED_INTRINSICS  // tests on CPUs without AVX-512 bring their own definitions
#if defined(__GNUC__) && !defined(__clang__)
// g++ 12 takes its own _mm512_undefined_* to task, and tells of an ABI change in its version 4.6.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wpsabi"
#endif
#include <immintrin.h>
#endif

namespace triga {
namespace {

struct Mask16 {
  __mmask16 m;
  friend TRIGA_INLINE Mask16 operator|(Mask16 a, Mask16 b) {
    return {static_cast<__mmask16>(a.m | b.m)};
  }
};

TRIGA_INLINE Mask16 first(int64_t n) { return {static_cast<__mmask16>((1u << n) - 1)}; }

struct F32x16 {
  __m512 v;

  static TRIGA_INLINE F32x16 zero() { return {_mm512_setzero_ps()}; }
  static TRIGA_INLINE F32x16 set(float x) { return {_mm512_set1_ps(x)}; }
  static TRIGA_INLINE F32x16 load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static TRIGA_INLINE F32x16 load(const float* p, int64_t n) {
    return {_mm512_maskz_loadu_ps(first(n).m, p)};
  }
  TRIGA_INLINE void store(float* p) const { _mm512_storeu_ps(p, v); }
  TRIGA_INLINE void store(float* p, int64_t n) const { _mm512_mask_storeu_ps(p, first(n).m, v); }

  friend TRIGA_INLINE F32x16 operator+(F32x16 a, F32x16 b) { return {_mm512_add_ps(a.v, b.v)}; }
  friend TRIGA_INLINE F32x16 operator-(F32x16 a, F32x16 b) { return {_mm512_sub_ps(a.v, b.v)}; }
  friend TRIGA_INLINE F32x16 operator*(F32x16 a, F32x16 b) { return {_mm512_mul_ps(a.v, b.v)}; }
  friend TRIGA_INLINE F32x16 operator/(F32x16 a, F32x16 b) { return {_mm512_div_ps(a.v, b.v)}; }
};

TRIGA_INLINE F32x16 fma(F32x16 a, F32x16 b, F32x16 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
TRIGA_INLINE F32x16 max(F32x16 a, F32x16 b) { return {_mm512_max_ps(a.v, b.v)}; }
TRIGA_INLINE F32x16 min(F32x16 a, F32x16 b) { return {_mm512_min_ps(a.v, b.v)}; }
TRIGA_INLINE F32x16 sqrt(F32x16 a) { return {_mm512_sqrt_ps(a.v)}; }
TRIGA_INLINE F32x16 abs(F32x16 a) {
  return {_mm512_and_ps(a.v, _mm512_castsi512_ps(_mm512_set1_epi32(0x7fffffff)))};
}
TRIGA_INLINE F32x16 sign_of(F32x16 a) { return {_mm512_and_ps(a.v, _mm512_set1_ps(-0.0f))}; }
TRIGA_INLINE F32x16 with_sign(F32x16 a, F32x16 sign) { return {_mm512_xor_ps(a.v, sign.v)}; }
TRIGA_INLINE F32x16 round_small(F32x16 a) { return {_mm512_roundscale_ps(a.v, 8)}; }
TRIGA_INLINE F32x16 scale2(F32x16 a, F32x16 n) { return {_mm512_scalef_ps(a.v, n.v)}; }

TRIGA_INLINE Mask16 less(F32x16 a, F32x16 b) {
  return {_mm512_cmp_ps_mask(a.v, b.v, 17 /* _CMP_LT_OQ */)};
}
TRIGA_INLINE Mask16 equal(F32x16 a, F32x16 b) {
  return {_mm512_cmp_ps_mask(a.v, b.v, 0 /* _CMP_EQ_OQ */)};
}
TRIGA_INLINE Mask16 is_nan(F32x16 a) {
  return {_mm512_cmp_ps_mask(a.v, a.v, 3 /* _CMP_UNORD_Q */)};
}
TRIGA_INLINE F32x16 select(Mask16 m, F32x16 a, F32x16 b) {
  return {_mm512_mask_blend_ps(m.m, b.v, a.v)};
}

TRIGA_INLINE float sum(F32x16 a) {
  const __m256 h = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  const __m128 p = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(p, _mm_shuffle_ps(p, p, 1)));
}
TRIGA_INLINE float max_lane(F32x16 a) {
  const __m256 h = _mm256_max_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 q = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  const __m128 p = _mm_max_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_max_ss(p, _mm_shuffle_ps(p, p, 1)));
}

TRIGA_INLINE F32x16 load_f16(const uint16_t* p) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
TRIGA_INLINE F32x16 load_bf16(const uint16_t* p) {
  const __m256i h = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16))};
}
TRIGA_INLINE F32x16 load_bf16_even(const uint16_t* p) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_loadu_si512(p), 16))};
}
TRIGA_INLINE F32x16 load_bf16_odd(const uint16_t* p) {
  const __m512i high = _mm512_set1_epi32(static_cast<int>(0xffff0000));
  return {_mm512_castsi512_ps(_mm512_and_si512(_mm512_loadu_si512(p), high))};
}
TRIGA_INLINE void store_f16(F32x16 a, uint16_t* p) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(a.v, 0 /* nearest even */));
}
// Nearest even by adding 0x7fff + the last kept bit; a NaN keeps its high half, made quiet.
TRIGA_INLINE __m512i bits_of_bf16(F32x16 a) {
  const __m512i x = _mm512_castps_si512(a.v);
  const __m512i high = _mm512_srli_epi32(x, 16);
  const __m512i odd = _mm512_and_si512(high, _mm512_set1_epi32(1));
  const __m512i bias = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff));
  const __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(x, bias), 16);
  const __m512i quiet = _mm512_or_si512(high, _mm512_set1_epi32(0x40));
  return _mm512_mask_blend_epi32(is_nan(a).m, rounded, quiet);
}
TRIGA_INLINE void store_bf16(F32x16 a, uint16_t* p) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(bits_of_bf16(a)));
}
TRIGA_INLINE void store_bf16_pairs(F32x16 a, F32x16 b, uint32_t* p) {
  const __m512i high = _mm512_slli_epi32(bits_of_bf16(b), 16);
  _mm512_storeu_si512(p, _mm512_or_si512(bits_of_bf16(a), high));
}

// Rows are exchanged in quarters of a register: words, pairs, then 128-bit lanes twice.
inline void transpose16(uint32_t* m) {
  __m512i a[16], b[16];
  for (int i = 0; i < 16; ++i) a[i] = _mm512_load_si512(m + i * 16);
  for (int i = 0; i < 16; i += 2) {
    b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
    b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    a[i] = _mm512_unpacklo_epi64(b[i], b[i + 2]);
    a[i + 1] = _mm512_unpackhi_epi64(b[i], b[i + 2]);
    a[i + 2] = _mm512_unpacklo_epi64(b[i + 1], b[i + 3]);
    a[i + 3] = _mm512_unpackhi_epi64(b[i + 1], b[i + 3]);
  }
  // a[4g + c]: rows 4g … 4g + 3 of columns c, c + 4, c + 8, c + 12 in its four lanes.
  for (int c = 0; c < 4; ++c) {
    const __m512i p = _mm512_shuffle_i32x4(a[c], a[4 + c], 0x88);
    const __m512i q = _mm512_shuffle_i32x4(a[c], a[4 + c], 0xdd);
    const __m512i r = _mm512_shuffle_i32x4(a[8 + c], a[12 + c], 0x88);
    const __m512i s = _mm512_shuffle_i32x4(a[8 + c], a[12 + c], 0xdd);
    _mm512_store_si512(m + c * 16, _mm512_shuffle_i32x4(p, r, 0x88));
    _mm512_store_si512(m + (4 + c) * 16, _mm512_shuffle_i32x4(q, s, 0x88));
    _mm512_store_si512(m + (8 + c) * 16, _mm512_shuffle_i32x4(p, r, 0xdd));
    _mm512_store_si512(m + (12 + c) * 16, _mm512_shuffle_i32x4(q, s, 0xdd));
  }
}

TRIGA_INLINE void prefetch(const void* p) {
  _mm_prefetch(static_cast<const char*>(p), static_cast<_mm_hint>(3) /* _MM_HINT_T0 */);
}

// 32 registers: up to 24 accumulators, the panels' vectors and a broadcast.
constexpr int kMaxTileRows = 12;
constexpr int tile_panels(int rows) { return rows <= 6 ? 4 : 2; }
constexpr int64_t kDirectRows = kMaxTileRows;

}  // namespace
}  // namespace triga
