// Int8Dot on NEON: matrix products of bytes (i8mm), their dot product, or without either products of 16 bits. See int8.h.
#pragma once

namespace triga {
namespace {

TRIGA_INLINE void store_i8(F32x16 v, int8_t* p) {
  const auto half = [&](int i) {
    return vcombine_s16(vqmovn_s32(vcvtnq_s32_f32(v.v[i])), vqmovn_s32(vcvtnq_s32_f32(v.v[i + 1])));
  };
  vst1q_s8(p, vcombine_s8(vqmovn_s16(half(0)), vqmovn_s16(half(2))));
}

#if defined(__ARM_FEATURE_MATMUL_INT8)
// Tiles of two columns by two rows, over 8 of k.
struct Int8Dot {
  static constexpr int kRows = 2, kQuads = 2, kXBytes = 16;
  static constexpr bool kSigned = false;
  struct W {
    uint8x16_t v[8];  // columns 2i and 2i + 1, 8 of k each
  };
  struct X {
    int8x16_t v;  // 8 of k of both rows
  };
  struct Sums {
    int32x4_t v[8];  // [column][row] of columns 2i and 2i + 1
  };

  static TRIGA_INLINE W load(const char* p) {
    const uint32_t* w = reinterpret_cast<const uint32_t*>(p);
    W r;
    for (int i = 0; i < 4; ++i) {
      const uint32x4_t a = vld1q_u32(w + 4 * i), b = vld1q_u32(w + 16 + 4 * i);
      r.v[2 * i] = vreinterpretq_u8_u32(vzip1q_u32(a, b));
      r.v[2 * i + 1] = vreinterpretq_u8_u32(vzip2q_u32(a, b));
    }
    return r;
  }
  static TRIGA_INLINE X load_x(const char* p) {
    return {vld1q_s8(reinterpret_cast<const int8_t*>(p))};
  }
  static TRIGA_INLINE Sums start(const char* p) {
    const int32x2_t rows = vld1_s32(reinterpret_cast<const int32_t*>(p));
    const int32x4_t v = vcombine_s32(rows, rows);
    return {{v, v, v, v, v, v, v, v}};
  }
  static TRIGA_INLINE void dot(Sums& sums, const W& w, const X& x) {
    for (int i = 0; i < 8; ++i) sums.v[i] = vusmmlaq_s32(sums.v[i], w.v[i], x.v);
  }
  template <int r>
  static TRIGA_INLINE F32x16 row(const Sums& sums) {
    return each4([&](int i) {
      const int32x4_t a = sums.v[2 * i], b = sums.v[2 * i + 1];
      return Float4(vcvtq_f32_s32(r == 0 ? vuzp1q_s32(a, b) : vuzp2q_s32(a, b)));
    });
  }
  static TRIGA_INLINE void expand(const uint32_t (&quads)[2][2], char* p) {
    __builtin_memcpy(p, quads, 16);
  }
};

// 32 registers: the sums of a group, up to 16, and what a dot reads.
constexpr int kInt8TileDots = 2;
constexpr int int8_tile_panels(int) { return 1; }
#else
struct Int8Dot {
  static constexpr int kRows = 1, kQuads = 1, kXBytes = 4;
  static constexpr bool kSigned = true;
  struct W {
    int8x16_t v[4];
  };
  struct X {
    int8x16_t v;
  };
  struct Sums {
    int32x4_t v[4];
  };

  static TRIGA_INLINE W load(const char* p) {
    const uint8_t* w = reinterpret_cast<const uint8_t*>(p);
    const uint8x16_t sign = vdupq_n_u8(0x80);
    W r;
    for (int i = 0; i < 4; ++i) r.v[i] = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(w + 16 * i), sign));
    return r;
  }
  static TRIGA_INLINE X load_x(const char* p) {
    return {vreinterpretq_s8_s32(vdupq_n_s32(load_i32(p)))};
  }
  static TRIGA_INLINE Sums start(const char*) {
    const int32x4_t zero = vdupq_n_s32(0);
    return {{zero, zero, zero, zero}};
  }
  static TRIGA_INLINE void dot(Sums& sums, const W& w, const X& x) {
    for (int i = 0; i < 4; ++i) {
#if defined(__ARM_FEATURE_DOTPROD)
      sums.v[i] = vdotq_s32(sums.v[i], w.v[i], x.v);
#else
      const int16x8_t lo = vmull_s8(vget_low_s8(w.v[i]), vget_low_s8(x.v));
      const int16x8_t hi = vmull_high_s8(w.v[i], x.v);
      sums.v[i] = vaddq_s32(sums.v[i], vpaddq_s32(vpaddlq_s16(lo), vpaddlq_s16(hi)));
#endif
    }
  }
  template <int>
  static TRIGA_INLINE F32x16 row(const Sums& sums) {
    return each4([&](int i) { return Float4(vcvtq_f32_s32(sums.v[i])); });
  }
  static TRIGA_INLINE void expand(const uint32_t (&quads)[1][1], char* p) {
    __builtin_memcpy(p, quads, 4);
  }
};

constexpr int kInt8TileDots = 4;
constexpr int int8_tile_panels(int dots) { return dots == 1 ? 2 : 1; }
#endif

}  // namespace
}  // namespace triga
