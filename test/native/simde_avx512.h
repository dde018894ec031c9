// The AVX-512 intrinsics that kernels/cpu/simd uses, by way of SIMDe (which turns most of them into AVX2 code), so that the
// levels avx512 and, with TRIGA_EMULATE_BF16, avx512_bf16 can be tested on CPUs without them. Included before everything
// else by scripts/build_native_tests.mjs --emulate. This proves what the kernels ask for, not what a compiler makes of it.
// Below: what SIMDe 0.7.4 lacks or does loosely, as Intel's manual (SDM, volume 2) defines it. An intrinsic that neither
// has does not compile, as the compiler's own cannot be inlined without -mavx512….
#pragma once
#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

namespace triga_emulated {

template <class T>
struct Lanes {
  T v[64 / sizeof(T)];
};
template <class T, class V>
inline Lanes<T> lanes_of(const V& v) {
  static_assert(sizeof(V) == 64, "a vector of 512 bits");
  Lanes<T> l;
  memcpy(&l, &v, 64);
  return l;
}
template <class V, class T>
inline V vector_of(const Lanes<T>& l) {
  V v;
  memcpy(&v, &l, 64);
  return v;
}

// Masked lanes are not touched, so that the sanitizers see what the instruction would.
inline __m512 maskz_loadu_ps(__mmask16 m, const void* p) {
  Lanes<float> r = {};
  for (int i = 0; i < 16; ++i) {
    if (m >> i & 1) memcpy(&r.v[i], static_cast<const char*>(p) + 4 * i, 4);
  }
  return vector_of<__m512>(r);
}
inline void mask_storeu_ps(void* p, __mmask16 m, __m512 a) {
  const Lanes<float> l = lanes_of<float>(a);
  for (int i = 0; i < 16; ++i) {
    if (m >> i & 1) memcpy(static_cast<char*>(p) + 4 * i, &l.v[i], 4);
  }
}
inline __m256 extractf32x8_ps(__m512 a, int half) {
  __m256 r;
  memcpy(&r, reinterpret_cast<const char*>(&a) + 32 * half, 32);
  return r;
}
inline __m512i madd_epi16(__m512i a, __m512i b) {
  int16_t x[32], y[32];
  memcpy(x, &a, 64);
  memcpy(y, &b, 64);
  Lanes<int32_t> r;
  for (int i = 0; i < 16; ++i) r.v[i] = x[2 * i] * y[2 * i] + x[2 * i + 1] * y[2 * i + 1];
  return vector_of<__m512i>(r);
}
inline __m512i cvtepu16_epi32(__m256i a) {
  uint16_t h[16];
  memcpy(h, &a, 32);
  Lanes<uint32_t> r;
  for (int i = 0; i < 16; ++i) r.v[i] = h[i];
  return vector_of<__m512i>(r);
}
inline __m256i cvtepi32_epi16(__m512i a) {
  const Lanes<uint32_t> l = lanes_of<uint32_t>(a);
  uint16_t h[16];
  for (int i = 0; i < 16; ++i) h[i] = static_cast<uint16_t>(l.v[i]);
  __m256i r;
  memcpy(&r, h, 32);
  return r;
}
inline __m512 cvtph_ps(__m256i a) {
  const __m256 r[2] = {_mm256_cvtph_ps(_mm256_castsi256_si128(a)),
                       _mm256_cvtph_ps(_mm256_extracti128_si256(a, 1))};
  __m512 v;
  memcpy(&v, r, 64);
  return v;
}
template <int kRounding>
inline __m256i cvtps_ph(__m512 a) {
  return _mm256_set_m128i(_mm256_cvtps_ph(extractf32x8_ps(a, 1), kRounding),
                          _mm256_cvtps_ph(extractf32x8_ps(a, 0), kRounding));
}

// a · 2^floor(b), rounded once: the product is exact in double. NaN comes from a or else from b; SIMDe's rounds 2^b first
// and takes subnormals for 0.
inline __m512 scalef_ps(__m512 a, __m512 b) {
  Lanes<float> x = lanes_of<float>(a);
  const Lanes<float> n = lanes_of<float>(b);
  for (int i = 0; i < 16; ++i) {
    if (x.v[i] != x.v[i]) continue;
    const double e = floor(static_cast<double>(n.v[i]));
    if (e != e || (x.v[i] == 0 && e == HUGE_VAL) || (isinf(x.v[i]) && e == -HUGE_VAL)) {
      x.v[i] = e != e ? n.v[i] : NAN;
      continue;
    }
    const double limited = e < -700 ? -700 : e > 700 ? 700 : e;
    x.v[i] = static_cast<float>(ldexp(static_cast<double>(x.v[i]), static_cast<int>(limited)));
  }
  return vector_of<__m512>(x);
}

// VDPBF16PS: acc += a1 · b1, then acc += a0 · b0, each rounded once to nearest even, subnormals being 0 on the way in and
// on the way out. SIMDe's sums otherwise.
inline float bf16_value(uint32_t high) {
  if ((high & 0x7f800000) == 0) high &= 0x80000000;
  float x;
  memcpy(&x, &high, 4);
  return x;
}
inline float flushed(float x) {
  uint32_t u;
  memcpy(&u, &x, 4);
  if ((u & 0x7f800000) == 0) u &= 0x80000000;
  memcpy(&x, &u, 4);
  return x;
}
inline __m512 dpbf16_ps(__m512 acc, __m512bh a, __m512bh b) {
  Lanes<float> r = lanes_of<float>(acc);
  const Lanes<uint32_t> u = lanes_of<uint32_t>(a), w = lanes_of<uint32_t>(b);
  for (int i = 0; i < 16; ++i) {
    const float odd =
        fmaf(bf16_value(u.v[i] & 0xffff0000), bf16_value(w.v[i] & 0xffff0000), flushed(r.v[i]));
    r.v[i] = flushed(fmaf(bf16_value(u.v[i] << 16), bf16_value(w.v[i] << 16), flushed(odd)));
  }
  return vector_of<__m512>(r);
}

}  // namespace triga_emulated

#undef _mm512_maskz_loadu_ps
#undef _mm512_mask_storeu_ps
#undef _mm512_extractf32x8_ps
#undef _mm512_cvtepu16_epi32
#undef _mm512_cvtepi32_epi16
#undef _mm512_cvtph_ps
#undef _mm512_cvtps_ph
#undef _mm512_scalef_ps
#undef _mm512_dpbf16_ps
#undef _mm512_madd_epi16  // SIMDe 0.7.4 takes the masked one's operands under this name
#define _mm512_madd_epi16(a, b) triga_emulated::madd_epi16(a, b)
#define _mm512_maskz_loadu_ps(m, p) triga_emulated::maskz_loadu_ps(m, p)
#define _mm512_mask_storeu_ps(p, m, a) triga_emulated::mask_storeu_ps(p, m, a)
#define _mm512_extractf32x8_ps(a, half) triga_emulated::extractf32x8_ps(a, half)
#define _mm512_cvtepu16_epi32(a) triga_emulated::cvtepu16_epi32(a)
#define _mm512_cvtepi32_epi16(a) triga_emulated::cvtepi32_epi16(a)
#define _mm512_cvtph_ps(a) triga_emulated::cvtph_ps(a)
#define _mm512_cvtps_ph(a, rounding) triga_emulated::cvtps_ph<rounding>(a)
#define _mm512_scalef_ps(a, b) triga_emulated::scalef_ps(a, b)
#define _mm512_dpbf16_ps(acc, a, b) triga_emulated::dpbf16_ps(acc, a, b)

// From here on the kernels think that the level has its instructions.
#define TRIGA_EMULATED_INTRINSICS
#define __AVX512F__ 1
#ifdef TRIGA_EMULATE_BF16
#define __AVX512BF16__ 1
#endif
