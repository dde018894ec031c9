// Int8Dot in the compiler's own vector types, as products of 16-bit numbers: |u · x| < 2^15. See int8.h.
#pragma once

namespace triga {
namespace {

typedef int16_t Short8 __attribute__((vector_size(16)));

inline void store_i8(F32x16 v, int8_t* p) {
  alignas(16) float t[16];
  v.store(t);
  for (int i = 0; i < 16; ++i) p[i] = static_cast<int8_t>(t[i]);
}

struct Int8Dot {
  static constexpr int kRows = 1, kQuads = 1, kXBytes = 8;
  static constexpr bool kSigned = false;
  struct W {
    Word4 v[4];
  };
  struct X {
    Short8 even, odd;  // of k
  };
  struct Sums {
    Int4 v[4];
  };

  static TRIGA_INLINE W load(const char* p) {
    W w;
    __builtin_memcpy(&w, p, 64);
    return w;
  }
  static TRIGA_INLINE X load_x(const char* p) {
    const int32_t e = load_i32(p), o = load_i32(p + 4);
    return {reinterpret_cast<Short8>(Int4{e, e, e, e}), reinterpret_cast<Short8>(Int4{o, o, o, o})};
  }
  static TRIGA_INLINE Sums start(const char* p) {
    const int32_t s = load_i32(p);
    const Int4 v = {s, s, s, s};
    return {{v, v, v, v}};
  }
  static TRIGA_INLINE void dot(Sums& sums, const W& w, const X& x) {
    for (int i = 0; i < 4; ++i) {
      const Int4 even = pairs(w.v[i] & 0x00ff00ffu, x.even);
      const Int4 odd = pairs((w.v[i] >> 8) & 0x00ff00ffu, x.odd);
      sums.v[i] += even + odd;
    }
  }
  // The sum of both products in each column.
  static TRIGA_INLINE Int4 pairs(Word4 w, Short8 x) {
    const Int4 products = reinterpret_cast<Int4>(reinterpret_cast<Short8>(w) * x);
    return (reinterpret_cast<Int4>(reinterpret_cast<Word4>(products) << 16) >> 16) +
           (products >> 16);
  }
  template <int>
  static TRIGA_INLINE F32x16 row(const Sums& sums) {
    return each4([&](int i) { return __builtin_convertvector(sums.v[i], Float4); });
  }
  static TRIGA_INLINE void expand(const uint32_t (&quads)[1][1], char* p) {
    expand_pairs(quads[0][0], p);
  }
};

constexpr int kInt8TileDots = 2;
constexpr int int8_tile_panels(int) { return 1; }

}  // namespace
}  // namespace triga
