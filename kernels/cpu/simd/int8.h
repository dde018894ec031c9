// Products of bytes: how a level sums over a few of k in each of 16 columns, exactly, in 32 bits. Only per-level units include
// this. A quad is 4 of k; weights stand in panels as u = w + 128, quads of 16 columns: 64 bytes.
//
// What each of the headers below defines, in namespace triga, unnamed namespace:
//   store_i8(v, p)   16 floats as bytes; they are whole numbers within ±127
//   Int8Dot, with
//     kRows, kQuads        what one dot() takes: rows of activations, quads of weights
//     kXBytes              bytes of activations, expanded for one dot()
//     kSigned              weights become w again; where not, the sums of a group start at −128 · Σ x
//     W, X, Sums           registers: weights, activations, sums of kRows × 16 columns
//     load(p)              W from kQuads · 64 bytes of a panel
//     load_x(p)            X from kXBytes
//     start(p)             Sums from one int32 a row (kSigned: 0)
//     dot(sums, w, x)      sums += Σ w · x
//     row<r>(sums)         the sums of row r as floats, nearest even
//     expand(quads, p)     kXBytes from the bytes of quads[kRows][kQuads]
//   kInt8TileDots, int8_tile_panels(dots): the register tile of products, in dots (of kRows rows) × panels
#pragma once
#include "kernels/cpu/simd/vec.h"

namespace triga {
namespace {

// For products of 16-bit pairs: bytes 0 and 2, then 1 and 3, of a quad as int16.
TRIGA_INLINE void expand_pairs(uint32_t quad, char* p) {
  int8_t b[4];
  __builtin_memcpy(b, &quad, 4);
  const int16_t pairs[4] = {b[0], b[2], b[1], b[3]};
  __builtin_memcpy(p, pairs, 8);
}
TRIGA_INLINE int32_t load_i32(const char* p) {
  int32_t i;
  __builtin_memcpy(&i, p, 4);
  return i;
}

}  // namespace
}  // namespace triga

#if defined(__AVX512F__)
#include "kernels/cpu/simd/int8_avx512.h"
#elif defined(__AVX2__)
#include "kernels/cpu/simd/int8_avx2.h"
#elif defined(TRIGA_NEON)
#include "kernels/cpu/simd/int8_neon.h"
#else
#include "kernels/cpu/simd/int8_quad.h"
#endif
