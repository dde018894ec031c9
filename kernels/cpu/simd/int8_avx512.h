// Int8Dot on zmm registers: VNNI's product of bytes, or without it products of 16-bit pairs. See int8.h.
#pragma once

namespace triga {
namespace {

TRIGA_INLINE void store_i8(F32x16 v, int8_t* p) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(v.v)));
}

struct Int8Dot {
  static constexpr int kRows = 1, kQuads = 1;
  static constexpr bool kSigned = false;
  struct Sums {
    __m512i v;
  };
  static TRIGA_INLINE Sums start(const char* p) { return {_mm512_set1_epi32(load_i32(p))}; }
  template <int>
  static TRIGA_INLINE F32x16 row(const Sums& sums) {
    return {_mm512_cvtepi32_ps(sums.v)};
  }

#if defined(__AVX512VNNI__)
  static constexpr int kXBytes = 4;
  struct W {
    __m512i v;
  };
  using X = W;
  static TRIGA_INLINE W load(const char* p) { return {_mm512_loadu_si512(p)}; }
  static TRIGA_INLINE X load_x(const char* p) { return {_mm512_set1_epi32(load_i32(p))}; }
  // In each column c: sums[c] += Σ_j u8(w[c][j]) · s8(x[j]), not saturated. In assembly, since g++ 12
  // puts copies of registers around its intrinsic.
  static TRIGA_INLINE void dot(Sums& sums, const W& w, const X& x) {
#if defined(TRIGA_EMULATED_INTRINSICS)
    sums.v = _mm512_dpbusd_epi32(sums.v, w.v, x.v);
#else
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sums.v) : "v"(w.v), "v"(x.v));
#endif
  }
  static TRIGA_INLINE void expand(const uint32_t (&quads)[1][1], char* p) {
    __builtin_memcpy(p, quads, 4);
  }
#else
  static constexpr int kXBytes = 8;
  struct W {
    __m512i even, odd;  // of k
  };
  using X = W;
  static TRIGA_INLINE W load(const char* p) {
    const __m512i w = _mm512_loadu_si512(p);
    return {_mm512_and_si512(w, _mm512_set1_epi32(0x00ff00ff)), _mm512_srli_epi16(w, 8)};
  }
  static TRIGA_INLINE X load_x(const char* p) {
    return {_mm512_set1_epi32(load_i32(p)), _mm512_set1_epi32(load_i32(p + 4))};
  }
  static TRIGA_INLINE void dot(Sums& sums, const W& w, const X& x) {
    sums.v = _mm512_add_epi32(sums.v, _mm512_madd_epi16(w.even, x.even));
    sums.v = _mm512_add_epi32(sums.v, _mm512_madd_epi16(w.odd, x.odd));
  }
  static TRIGA_INLINE void expand(const uint32_t (&quads)[1][1], char* p) {
    expand_pairs(quads[0][0], p);
  }
#endif
};

// 32 registers: the sums of a group and the f32 accumulators, up to 12 each, and what a dot reads.
constexpr int kInt8TileDots = 6;
constexpr int int8_tile_panels(int dots) { return dots <= 3 ? 4 : 2; }

}  // namespace
}  // namespace triga
