// Int8Dot on ymm registers, as products of 16-bit pairs: maddubs would saturate. See int8.h.
#pragma once

namespace triga {
namespace {

TRIGA_INLINE void store_i8(F32x16 v, int8_t* p) {
  const __m256i lo = _mm256_cvtps_epi32(v.lo), hi = _mm256_cvtps_epi32(v.hi);
  const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(lo, hi), 0xd8);
  const __m128i bytes =
      _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
}

struct Int8Dot {
  static constexpr int kRows = 1, kQuads = 1, kXBytes = 8;
  static constexpr bool kSigned = false;
  struct W {
    __m256i even[2], odd[2];  // of k; columns 0 … 7 and 8 … 15
  };
  struct X {
    __m256i even, odd;
  };
  struct Sums {
    __m256i v[2];
  };

  static TRIGA_INLINE W load(const char* p) {
    const __m256i low = _mm256_set1_epi32(0x00ff00ff);
    const __m256i lo = load_words(p), hi = load_words(p + 32);
    return {{_mm256_and_si256(lo, low), _mm256_and_si256(hi, low)},
            {_mm256_srli_epi16(lo, 8), _mm256_srli_epi16(hi, 8)}};
  }
  static TRIGA_INLINE X load_x(const char* p) {
    return {_mm256_set1_epi32(load_i32(p)), _mm256_set1_epi32(load_i32(p + 4))};
  }
  static TRIGA_INLINE Sums start(const char* p) {
    const __m256i s = _mm256_set1_epi32(load_i32(p));
    return {{s, s}};
  }
  static TRIGA_INLINE void dot(Sums& sums, const W& w, const X& x) {
    for (int h = 0; h < 2; ++h) {
      sums.v[h] = _mm256_add_epi32(sums.v[h], _mm256_madd_epi16(w.even[h], x.even));
      sums.v[h] = _mm256_add_epi32(sums.v[h], _mm256_madd_epi16(w.odd[h], x.odd));
    }
  }
  template <int>
  static TRIGA_INLINE F32x16 row(const Sums& sums) {
    return {_mm256_cvtepi32_ps(sums.v[0]), _mm256_cvtepi32_ps(sums.v[1])};
  }
  static TRIGA_INLINE void expand(const uint32_t (&quads)[1][1], char* p) {
    expand_pairs(quads[0][0], p);
  }
};

// 16 registers: the sums of a group, up to 8, and what a dot reads; f32 accumulators wait on the stack.
constexpr int kInt8TileDots = 4;
constexpr int int8_tile_panels(int dots) { return dots == 1 ? 2 : 1; }

}  // namespace
}  // namespace triga
