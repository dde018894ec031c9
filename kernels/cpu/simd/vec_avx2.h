// F32x16 as two ymm registers (AVX2, FMA, F16C). See vec.h.
#pragma once
#include <immintrin.h>

namespace triga {
namespace {

struct Mask16 {
  __m256 lo, hi;
  friend TRIGA_INLINE Mask16 operator|(Mask16 a, Mask16 b) {
    return {_mm256_or_ps(a.lo, b.lo), _mm256_or_ps(a.hi, b.hi)};
  }
};

alignas(64) const int32_t kLaneMasks[32] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
                                            -1, -1, -1, -1, -1, 0,  0,  0,  0,  0,  0,
                                            0,  0,  0,  0,  0,  0,  0,  0,  0,  0};

TRIGA_INLINE Mask16 first(int64_t n) {
  const float* p = reinterpret_cast<const float*>(kLaneMasks) + 16 - n;
  return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}

struct F32x16 {
  __m256 lo, hi;

  static TRIGA_INLINE F32x16 zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
  static TRIGA_INLINE F32x16 set(float x) {
    const __m256 v = _mm256_set1_ps(x);
    return {v, v};
  }
  static TRIGA_INLINE F32x16 load(const float* p) {
    return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
  }
  static TRIGA_INLINE F32x16 load(const float* p, int64_t n) {
    const Mask16 m = first(n);
    return {_mm256_maskload_ps(p, _mm256_castps_si256(m.lo)),
            _mm256_maskload_ps(p + 8, _mm256_castps_si256(m.hi))};
  }
  TRIGA_INLINE void store(float* p) const {
    _mm256_storeu_ps(p, lo);
    _mm256_storeu_ps(p + 8, hi);
  }
  TRIGA_INLINE void store(float* p, int64_t n) const {
    const Mask16 m = first(n);
    _mm256_maskstore_ps(p, _mm256_castps_si256(m.lo), lo);
    _mm256_maskstore_ps(p + 8, _mm256_castps_si256(m.hi), hi);
  }

  friend TRIGA_INLINE F32x16 operator+(F32x16 a, F32x16 b) {
    return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)};
  }
  friend TRIGA_INLINE F32x16 operator-(F32x16 a, F32x16 b) {
    return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)};
  }
  friend TRIGA_INLINE F32x16 operator*(F32x16 a, F32x16 b) {
    return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)};
  }
  friend TRIGA_INLINE F32x16 operator/(F32x16 a, F32x16 b) {
    return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)};
  }
};

TRIGA_INLINE F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {
  return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
TRIGA_INLINE F32x16 max(F32x16 a, F32x16 b) {
  return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)};
}
TRIGA_INLINE F32x16 min(F32x16 a, F32x16 b) {
  return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)};
}
TRIGA_INLINE F32x16 sqrt(F32x16 a) { return {_mm256_sqrt_ps(a.lo), _mm256_sqrt_ps(a.hi)}; }
TRIGA_INLINE F32x16 abs(F32x16 a) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_andnot_ps(sign, a.lo), _mm256_andnot_ps(sign, a.hi)};
}
TRIGA_INLINE F32x16 sign_of(F32x16 a) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_and_ps(sign, a.lo), _mm256_and_ps(sign, a.hi)};
}
TRIGA_INLINE F32x16 with_sign(F32x16 a, F32x16 sign) {
  return {_mm256_xor_ps(a.lo, sign.lo), _mm256_xor_ps(a.hi, sign.hi)};
}
TRIGA_INLINE F32x16 round_small(F32x16 a) {
  return {_mm256_round_ps(a.lo, 8), _mm256_round_ps(a.hi, 8)};
}
// By two powers of two, as one may lie outside the exponents of f32; only the second can round.
TRIGA_INLINE __m256 scale2_half(__m256 a, __m256 n) {
  const __m256i i = _mm256_cvtps_epi32(n);
  const __m256i i0 = _mm256_srai_epi32(i, 1), i1 = _mm256_sub_epi32(i, i0);
  const __m256i bias = _mm256_set1_epi32(127);
  const __m256 p0 = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(i0, bias), 23));
  const __m256 p1 = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(i1, bias), 23));
  return _mm256_mul_ps(_mm256_mul_ps(a, p0), p1);
}
TRIGA_INLINE F32x16 scale2(F32x16 a, F32x16 n) {
  return {scale2_half(a.lo, n.lo), scale2_half(a.hi, n.hi)};
}

TRIGA_INLINE Mask16 less(F32x16 a, F32x16 b) {
  return {_mm256_cmp_ps(a.lo, b.lo, _CMP_LT_OQ), _mm256_cmp_ps(a.hi, b.hi, _CMP_LT_OQ)};
}
TRIGA_INLINE Mask16 equal(F32x16 a, F32x16 b) {
  return {_mm256_cmp_ps(a.lo, b.lo, _CMP_EQ_OQ), _mm256_cmp_ps(a.hi, b.hi, _CMP_EQ_OQ)};
}
TRIGA_INLINE Mask16 is_nan(F32x16 a) {
  return {_mm256_cmp_ps(a.lo, a.lo, _CMP_UNORD_Q), _mm256_cmp_ps(a.hi, a.hi, _CMP_UNORD_Q)};
}
TRIGA_INLINE F32x16 select(Mask16 m, F32x16 a, F32x16 b) {
  return {_mm256_blendv_ps(b.lo, a.lo, m.lo), _mm256_blendv_ps(b.hi, a.hi, m.hi)};
}

TRIGA_INLINE float sum(F32x16 a) {
  const __m256 h = _mm256_add_ps(a.lo, a.hi);
  const __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  const __m128 p = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(p, _mm_shuffle_ps(p, p, 1)));
}
TRIGA_INLINE float max_lane(F32x16 a) {
  const __m256 h = _mm256_max_ps(a.lo, a.hi);
  const __m128 q = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  const __m128 p = _mm_max_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_max_ss(p, _mm_shuffle_ps(p, p, 1)));
}

TRIGA_INLINE __m256i load_words(const void* p) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}
TRIGA_INLINE F32x16 load_f16(const uint16_t* p) {
  return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))),
          _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 8)))};
}
TRIGA_INLINE __m256 widen_bf16(const uint16_t* p) {
  const __m128i h = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}
TRIGA_INLINE F32x16 load_bf16(const uint16_t* p) { return {widen_bf16(p), widen_bf16(p + 8)}; }
TRIGA_INLINE F32x16 load_bf16_even(const uint16_t* p) {
  return {_mm256_castsi256_ps(_mm256_slli_epi32(load_words(p), 16)),
          _mm256_castsi256_ps(_mm256_slli_epi32(load_words(p + 16), 16))};
}
TRIGA_INLINE F32x16 load_bf16_odd(const uint16_t* p) {
  const __m256i high = _mm256_set1_epi32(static_cast<int>(0xffff0000));
  return {_mm256_castsi256_ps(_mm256_and_si256(load_words(p), high)),
          _mm256_castsi256_ps(_mm256_and_si256(load_words(p + 16), high))};
}
TRIGA_INLINE void store_f16(F32x16 a, uint16_t* p) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(a.lo, 0 /* nearest even */));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 8), _mm256_cvtps_ph(a.hi, 0));
}
// Nearest even by adding 0x7fff + the last kept bit; a NaN keeps its high half, made quiet.
TRIGA_INLINE __m256i round_bf16(__m256 a) {
  const __m256i x = _mm256_castps_si256(a);
  const __m256i high = _mm256_srli_epi32(x, 16);
  const __m256i odd = _mm256_and_si256(high, _mm256_set1_epi32(1));
  const __m256i bias = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff));
  const __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(x, bias), 16);
  const __m256i quiet = _mm256_or_si256(high, _mm256_set1_epi32(0x40));
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_UNORD_Q));
  return _mm256_blendv_epi8(rounded, quiet, nan);
}
TRIGA_INLINE void store_bf16(F32x16 a, uint16_t* p) {
  const __m256i packed = _mm256_packus_epi32(round_bf16(a.lo), round_bf16(a.hi));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_permute4x64_epi64(packed, 0xd8));
}

// 8 × 8 words from `from` (rows of 16) to `to`.
TRIGA_INLINE void transpose8(const __m256i (&a)[8], uint32_t* to) {
  __m256i b[8], c[8];
  for (int i = 0; i < 8; i += 2) {
    b[i] = _mm256_unpacklo_epi32(a[i], a[i + 1]);
    b[i + 1] = _mm256_unpackhi_epi32(a[i], a[i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {
    c[i] = _mm256_unpacklo_epi64(b[i], b[i + 2]);
    c[i + 1] = _mm256_unpackhi_epi64(b[i], b[i + 2]);
    c[i + 2] = _mm256_unpacklo_epi64(b[i + 1], b[i + 3]);
    c[i + 3] = _mm256_unpackhi_epi64(b[i + 1], b[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(to + i * 16),
                       _mm256_permute2x128_si256(c[i], c[i + 4], 0x20));
    _mm256_store_si256(reinterpret_cast<__m256i*>(to + (i + 4) * 16),
                       _mm256_permute2x128_si256(c[i], c[i + 4], 0x31));
  }
}
TRIGA_INLINE void load8(const uint32_t* from, __m256i (&a)[8]) {
  for (int i = 0; i < 8; ++i) a[i] = load_words(from + i * 16);
}
inline void transpose16(uint32_t* m) {
  __m256i a[8], b[8];
  load8(m, a);
  transpose8(a, m);
  load8(m + 8 * 16 + 8, a);
  transpose8(a, m + 8 * 16 + 8);
  load8(m + 8, a);
  load8(m + 8 * 16, b);
  transpose8(a, m + 8 * 16);
  transpose8(b, m + 8);
}

TRIGA_INLINE void prefetch(const void* p) {
  _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0);
}

// 16 registers: up to 12 accumulators, a panel's two and a broadcast.
constexpr int kMaxTileRows = 6;
constexpr int tile_panels(int rows) { return rows == 1 ? 4 : rows <= 3 ? 2 : 1; }
constexpr int64_t kDirectRows = INT64_MAX;  // 6 × 2 FMAs hide the widening of two

}  // namespace
}  // namespace triga
