// F32x16 as four vectors of four floats in the compiler's own vector types: the scalar level (what
// the architecture's baseline gives; fma is a product and a sum, rounded each) and, where the level
// defines TRIGA_NEON, NEON with its fused fma. The baseline of aarch64 has NEON too: __ARM_NEON
// does not tell the two levels apart. See vec.h.
#pragma once
#if defined(TRIGA_NEON)
#include <arm_neon.h>
#endif

namespace triga {
namespace {

typedef float Float4 __attribute__((vector_size(16)));
typedef int32_t Int4 __attribute__((vector_size(16)));
typedef uint32_t Word4 __attribute__((vector_size(16)));

struct Mask16 {
  Int4 v[4];
  friend TRIGA_INLINE Mask16 operator|(Mask16 a, Mask16 b) {
    return {{a.v[0] | b.v[0], a.v[1] | b.v[1], a.v[2] | b.v[2], a.v[3] | b.v[3]}};
  }
};

TRIGA_INLINE Mask16 first(int64_t n) {
  const int32_t k = static_cast<int32_t>(n);
  const Int4 lanes = {0, 1, 2, 3};
  return {{lanes < k, lanes + 4 < k, lanes + 8 < k, lanes + 12 < k}};
}

TRIGA_INLINE Float4 load4(const float* p) {
  Float4 v;
  __builtin_memcpy(&v, p, 16);
  return v;
}
TRIGA_INLINE Float4 set4(float x) { return Float4{x, x, x, x}; }
TRIGA_INLINE Float4 as_float(Int4 v) { return reinterpret_cast<Float4>(v); }
TRIGA_INLINE Int4 as_int(Float4 v) { return reinterpret_cast<Int4>(v); }

struct F32x16 {
  Float4 v[4];

  static TRIGA_INLINE F32x16 zero() { return set(0); }
  static TRIGA_INLINE F32x16 set(float x) {
    const Float4 v = set4(x);
    return {{v, v, v, v}};
  }
  static TRIGA_INLINE F32x16 load(const float* p) {
    return {{load4(p), load4(p + 4), load4(p + 8), load4(p + 12)}};
  }
  static inline F32x16 load(const float* p, int64_t n) {
    alignas(16) float t[16] = {};
    for (int64_t i = 0; i < n; ++i) t[i] = p[i];
    return load(t);
  }
  TRIGA_INLINE void store(float* p) const {
    for (int i = 0; i < 4; ++i) __builtin_memcpy(p + 4 * i, &v[i], 16);
  }
  inline void store(float* p, int64_t n) const {
    alignas(16) float t[16];
    store(t);
    for (int64_t i = 0; i < n; ++i) p[i] = t[i];
  }

  friend TRIGA_INLINE F32x16 operator+(F32x16 a, F32x16 b) {
    return {{a.v[0] + b.v[0], a.v[1] + b.v[1], a.v[2] + b.v[2], a.v[3] + b.v[3]}};
  }
  friend TRIGA_INLINE F32x16 operator-(F32x16 a, F32x16 b) {
    return {{a.v[0] - b.v[0], a.v[1] - b.v[1], a.v[2] - b.v[2], a.v[3] - b.v[3]}};
  }
  friend TRIGA_INLINE F32x16 operator*(F32x16 a, F32x16 b) {
    return {{a.v[0] * b.v[0], a.v[1] * b.v[1], a.v[2] * b.v[2], a.v[3] * b.v[3]}};
  }
  friend TRIGA_INLINE F32x16 operator/(F32x16 a, F32x16 b) {
    return {{a.v[0] / b.v[0], a.v[1] / b.v[1], a.v[2] / b.v[2], a.v[3] / b.v[3]}};
  }
};

template <class F>
TRIGA_INLINE F32x16 each4(F f) {
  return {{f(0), f(1), f(2), f(3)}};
}
template <class F>
TRIGA_INLINE Mask16 mask4(F f) {
  return {{f(0), f(1), f(2), f(3)}};
}

TRIGA_INLINE F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {
#if defined(TRIGA_NEON)
  return each4([&](int i) { return Float4(vfmaq_f32(c.v[i], a.v[i], b.v[i])); });
#else
  return a * b + c;
#endif
}
TRIGA_INLINE F32x16 max(F32x16 a, F32x16 b) {
  return each4([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}
TRIGA_INLINE F32x16 min(F32x16 a, F32x16 b) {
  return each4([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
}
TRIGA_INLINE F32x16 sqrt(F32x16 a) {
  return each4([&](int i) {
    Float4 r;
    for (int j = 0; j < 4; ++j) r[j] = __builtin_sqrtf(a.v[i][j]);
    return r;
  });
}
TRIGA_INLINE F32x16 abs(F32x16 a) {
  return each4([&](int i) { return as_float(as_int(a.v[i]) & 0x7fffffff); });
}
TRIGA_INLINE F32x16 sign_of(F32x16 a) {
  return each4([&](int i) { return as_float(as_int(a.v[i]) & INT32_MIN); });
}
TRIGA_INLINE F32x16 with_sign(F32x16 a, F32x16 sign) {
  return each4([&](int i) { return as_float(as_int(a.v[i]) ^ as_int(sign.v[i])); });
}
// Adding 1.5 · 2^23 leaves no bits for a fraction.
TRIGA_INLINE F32x16 round_small(F32x16 a) {
  return (a + F32x16::set(12582912.0f)) - F32x16::set(12582912.0f);
}
// By two powers of two, as one may lie outside the exponents of f32; only the second can round.
TRIGA_INLINE F32x16 scale2(F32x16 a, F32x16 n) {
  return each4([&](int i) {
    const Int4 k = __builtin_convertvector(n.v[i], Int4);
    const Int4 k0 = k >> 1, k1 = k - k0;
    return a.v[i] * as_float((k0 + 127) << 23) * as_float((k1 + 127) << 23);
  });
}

TRIGA_INLINE Mask16 less(F32x16 a, F32x16 b) {
  return mask4([&](int i) { return Int4(a.v[i] < b.v[i]); });
}
TRIGA_INLINE Mask16 equal(F32x16 a, F32x16 b) {
  return mask4([&](int i) { return Int4(a.v[i] == b.v[i]); });
}
TRIGA_INLINE Mask16 is_nan(F32x16 a) {
  return mask4([&](int i) { return Int4(a.v[i] != a.v[i]); });
}
TRIGA_INLINE F32x16 select(Mask16 m, F32x16 a, F32x16 b) {
  return each4([&](int i) { return m.v[i] ? a.v[i] : b.v[i]; });
}

TRIGA_INLINE float sum(F32x16 a) {
  const Float4 q = (a.v[0] + a.v[2]) + (a.v[1] + a.v[3]);
  return (q[0] + q[2]) + (q[1] + q[3]);
}
TRIGA_INLINE float max_lane(F32x16 a) {
  const auto greater = [](Float4 x, Float4 y) { return x > y ? x : y; };
  const Float4 q = greater(greater(a.v[0], a.v[2]), greater(a.v[1], a.v[3]));
  const float l = q[0] > q[2] ? q[0] : q[2], r = q[1] > q[3] ? q[1] : q[3];
  return l > r ? l : r;
}

TRIGA_INLINE uint32_t bits_of(float x) {
  uint32_t u;
  __builtin_memcpy(&u, &x, 4);
  return u;
}
TRIGA_INLINE float float_of(uint32_t u) {
  float x;
  __builtin_memcpy(&x, &u, 4);
  return x;
}
// Moves exponent and fraction into place and scales by 2^112 (exact, subnormals too); all ones stay
// all ones.
TRIGA_INLINE float widen_f16(uint16_t h) {
  const uint32_t magnitude = static_cast<uint32_t>(h & 0x7fff) << 13;
  const uint32_t sign = static_cast<uint32_t>(h & 0x8000) << 16;
  if (magnitude >= 0x0f800000) return float_of(sign | 0x70000000 | magnitude);
  return float_of(sign | bits_of(float_of(magnitude) * 5.192296858534828e33f));
}
// Nearest even. Subnormals: adding 0.5 puts the last kept bit at the end of the f32 fraction.
TRIGA_INLINE uint16_t narrow_f16(float x) {
  const uint32_t u = bits_of(x), sign = (u >> 16) & 0x8000, m = u & 0x7fffffff;
  uint32_t h;
  if (m > 0x7f800000) {
    h = 0x7e00 | ((m >> 13) & 0x3ff);
  } else if (m >= 0x477ff000) {  // rounds to 65536 or beyond
    h = 0x7c00;
  } else if (m < 0x38800000) {
    h = bits_of(float_of(m) + 0.5f) - 0x3f000000;
  } else {
    h = (m - 0x38000000 + 0xfff + ((m >> 13) & 1)) >> 13;
  }
  return static_cast<uint16_t>(sign | h);
}
// Nearest even by adding 0x7fff + the last kept bit; a NaN keeps its high half, made quiet.
TRIGA_INLINE uint16_t narrow_bf16(float x) {
  const uint32_t u = bits_of(x);
  if ((u & 0x7fffffff) > 0x7f800000) return static_cast<uint16_t>((u >> 16) | 0x40);
  return static_cast<uint16_t>((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}

TRIGA_INLINE F32x16 load_f16(const uint16_t* p) {
#if defined(TRIGA_NEON)
  return each4(
      [&](int i) { return Float4(vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p + 4 * i)))); });
#else
  alignas(16) float t[16];
  for (int i = 0; i < 16; ++i) t[i] = widen_f16(p[i]);
  return F32x16::load(t);
#endif
}
TRIGA_INLINE F32x16 load_bf16(const uint16_t* p) {
  alignas(16) float t[16];
  for (int i = 0; i < 16; ++i) t[i] = float_of(static_cast<uint32_t>(p[i]) << 16);
  return F32x16::load(t);
}
TRIGA_INLINE F32x16 load_bf16_even(const uint16_t* p) {
  return each4([&](int i) {
    Word4 w;
    __builtin_memcpy(&w, p + 8 * i, 16);
    return reinterpret_cast<Float4>(w << 16);
  });
}
TRIGA_INLINE F32x16 load_bf16_odd(const uint16_t* p) {
  return each4([&](int i) {
    Word4 w;
    __builtin_memcpy(&w, p + 8 * i, 16);
    return reinterpret_cast<Float4>(w & 0xffff0000u);
  });
}
TRIGA_INLINE void store_f16(F32x16 a, uint16_t* p) {
  alignas(16) float t[16];
  a.store(t);
  for (int i = 0; i < 16; ++i) p[i] = narrow_f16(t[i]);
}
TRIGA_INLINE void store_bf16(F32x16 a, uint16_t* p) {
  alignas(16) float t[16];
  a.store(t);
  for (int i = 0; i < 16; ++i) p[i] = narrow_bf16(t[i]);
}

inline void transpose16(uint32_t* m) {
  for (int i = 0; i < 16; ++i) {
    for (int j = 0; j < i; ++j) {
      const uint32_t t = m[i * 16 + j];
      m[i * 16 + j] = m[j * 16 + i];
      m[j * 16 + i] = t;
    }
  }
}

TRIGA_INLINE void prefetch(const void* p) { __builtin_prefetch(p); }

// A panel's vector takes four registers: of 32 on aarch64, of 16 elsewhere.
#if defined(__aarch64__)
constexpr int kMaxTileRows = 6;
#else
constexpr int kMaxTileRows = 2;
#endif
constexpr int tile_panels(int rows) { return rows == 1 ? 2 : 1; }
constexpr int64_t kDirectRows = kMaxTileRows;

}  // namespace
}  // namespace triga
