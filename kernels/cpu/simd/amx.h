// Matrix tiles (Intel AMX): 8 registers of up to 16 rows of 64 bytes. Only the level that has them includes this.
// Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, and volume 1 chapter 18.
//
// Written as inline assembly: the compiler's intrinsics do not say that a tile's configuration and contents are memory,
// and g++ 12 drops the stores that fill them.
#pragma once
#include "kernels/cpu/simd/vec.h"

namespace triga {
namespace {

#if defined(__AMX_TILE__)

struct TileShapes {
  uint8_t palette = 1, start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};
static_assert(sizeof(TileShapes) == 64, "as the instruction reads it");

// Sets the shapes of all tiles, and all tiles to 0.
TRIGA_INLINE void set_tile_shapes(const TileShapes& shapes) {
  __asm__ volatile("ldtilecfg %0" ::"m"(shapes) : "memory");
}
// Gives the registers back: what follows a context switch is then small again.
TRIGA_INLINE void release_tiles() { __asm__ volatile("tilerelease" ::: "memory"); }

template <int T>
TRIGA_INLINE void zero_tile() {
  __asm__ volatile("tilezero %%tmm%c0" ::"i"(T));
}
// Rows `stride` bytes apart.
template <int T>
TRIGA_INLINE void load_tile(const void* p, int64_t stride) {
  __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(p), "r"(stride), "i"(T) : "memory");
}
template <int T>
TRIGA_INLINE void store_tile(void* p, int64_t stride) {
  __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(p), "r"(stride), "i"(T) : "memory");
}
// c[m][n] += even + odd, where even = Σ a[m][2i] · b[i][2n] over ascending i and odd likewise, each an f32 FMA chain from 0;
// nearest even, subnormals count as 0.
template <int C, int A, int B>
TRIGA_INLINE void dot_tile_bf16() {
  __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(C), "i"(A), "i"(B));
}
// c[m][n] += Σ a[m][4i + j] · b[i][4n + j] over i and j in 0 … 3, of signed bytes, in 32 bits that wrap around.
template <int C, int A, int B>
TRIGA_INLINE void dot_tile_i8() {
  __asm__ volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(C), "i"(A), "i"(B));
}
// A row of such sums in memory as floats, nearest even.
TRIGA_INLINE F32x16 load_i32_row(const char* p) {
  return {_mm512_cvtepi32_ps(_mm512_loadu_si512(p))};
}
#endif

}  // namespace
}  // namespace triga
