// Weights into q8 panels, see PackQ8Args in kernel.h; a tile is a panel that gets columns.
//
// A group of a panel is 32 rows of k with a column in each lane: rows of the source are transposed to that in L1, as in pack.h. So
// the largest magnitude, the scale and the rounding are vertical. What is stored as q8 already is copied, a quad at a time. Tails:
// the k past the end count as 0; a panel whose columns are not all ours gets ours only.
#pragma once
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/pack.h"
#include "kernels/cpu/simd/int8.h"
#include "kernels/cpu/simd/vec.h"

namespace triga {
namespace {

constexpr int64_t kQ8GroupBytes = (kGroup + 2) * kPanel;
constexpr uint32_t kSignBits = 0x80808080u;  // w + 128 of four bytes

// rows[i][lane] = w[column lane][k + i] of a group.
inline void q8_group(const PackArgs& a, const PackPlace& p, int64_t k, float* rows) {
  const int64_t size = a.source_type == WeightType::kF32 ? 4 : 2;
  const char* source = static_cast<const char*>(a.source);
  if (a.transposed) {
    for (int64_t i = 0; i < kGroup; ++i) {
      float* row = rows + i * kPanel;
      F32x16::zero().store(row);
      if (k + i < a.k)
        pack_convert(source + ((k + i) * a.n + p.source) * size, p.lanes, a.source_type,
                     WeightType::kF32, row);
    }
    return;
  }
  for (int64_t half = 0; half < kGroup; half += 16) {
    float* block = rows + half * kPanel;
    for (int64_t l = 0; l < kPanel; ++l) {
      const int64_t n = l < p.lanes ? least(a.k - k - half, 16) : 0;
      const char* row =
          source + ((p.source + (n > 0 ? l : 0)) * a.k + (n > 0 ? k + half : 0)) * size;
      if (n == 16) {
        prefetch(row + kPackAhead);
        pack_convert(row, a.source_type, WeightType::kF32, block + l * 16);
      } else {
        pack_convert(row, most(n, 0), a.source_type, WeightType::kF32, block + l * 16);
      }
    }
    transpose16(reinterpret_cast<uint32_t*>(block));
  }
}

// Nearest whole number, halves away from 0, of |x| < 2^22.
TRIGA_INLINE F32x16 round_away(F32x16 x) {
  const F32x16 a = abs(x), even = round_small(a);
  const Mask16 down = equal(a - even, F32x16::set(0.5f));
  return with_sign(select(down, even + F32x16::set(1.0f), even), sign_of(x));
}

// The group's words [8][16] and scales from its rows.
inline void q8_quantize(const float* rows, uint32_t* words, uint16_t* scales) {
  F32x16 greatest = F32x16::zero(), strange = F32x16::zero();
  for (int64_t i = 0; i < kGroup; ++i) {
    const F32x16 w = F32x16::load(rows + i * kPanel);
    greatest = max(abs(w), greatest);
    strange = fma(w, F32x16::zero(), strange);  // 0, or NaN for what is not finite
  }
  const F32x16 d = greatest / F32x16::set(127.0f) + strange;
  store_f16(d, scales);
  // A d so small that 1 / d is beyond f32 is 0 as f16.
  const F32x16 inverse = F32x16::set(1.0f) / d;
  const F32x16 factor = select(less(inverse, F32x16::set(3.4e38f)), inverse, F32x16::zero());
  for (int64_t quad = 0; quad < kGroup / 4; ++quad) {
    alignas(16) int8_t bytes[4][16];
    for (int j = 0; j < 4; ++j)
      store_i8(round_away(F32x16::load(rows + (quad * 4 + j) * kPanel) * factor), bytes[j]);
    for (int l = 0; l < 16; ++l) {
      uint32_t word = 0;
      for (int j = 0; j < 4; ++j)
        word |= static_cast<uint32_t>(static_cast<uint8_t>(bytes[j][l])) << 8 * j;
      words[quad * kPanel + l] = word ^ kSignBits;
    }
  }
}

// The same from stored bytes and scales, in lanes from 0 on.
inline void q8_stored(const PackQ8Args& args, const PackPlace& p, int64_t group, uint32_t* words,
                      uint16_t* scales) {
  const PackArgs& a = args.pack;
  const int64_t k = group * kGroup, groups = ceil_div(a.k, kGroup);
  for (int64_t l = 0; l < p.lanes; ++l) {
    const char* from = static_cast<const char*>(a.source) + (p.source + l) * a.k + k;
    alignas(kGroup) uint32_t row[kGroup / 4] = {};
    if (a.k - k >= kGroup) {
      prefetch(from + kPackAhead);
      __builtin_memcpy(row, from, kGroup);
    } else {
      __builtin_memcpy(row, from, static_cast<size_t>(a.k - k));
    }
    for (int64_t quad = 0; quad < kGroup / 4; ++quad)
      words[quad * kPanel + l] = row[quad] ^ kSignBits;
    const char* scale =
        static_cast<const char*>(args.scales) + ((p.source + l) * groups + group) * 2;
    __builtin_memcpy(scales + l, scale, 2);
  }
}

inline int64_t pack_q8_tiles(const PackQ8Args& a) { return pack_tiles(a.pack); }

inline void pack_q8_run(const PackQ8Args& args, int64_t begin, int64_t end, void*) {
  const PackArgs& a = args.pack;
  alignas(64) float rows[kGroup * kPanel];
  alignas(64) uint32_t words[kGroup / 4 * kPanel];
  alignas(64) uint16_t scales[kPanel];
  for (int64_t tile = begin; tile < end; ++tile) {
    const PackPlace p = pack_place(a, tile);
    const int64_t groups = ceil_div(a.k, kGroup);
    const size_t lanes = static_cast<size_t>(p.lanes);
    for (int64_t g = 0; g < groups; ++g) {
      if (a.source_type == WeightType::kQ8) {
        q8_stored(args, p, g, words, scales);
      } else {
        q8_group(a, p, g * kGroup, rows);
        q8_quantize(rows, words, scales);
      }
      char* to = p.panel + g * kQ8GroupBytes;
      for (int64_t quad = 0; quad < kGroup / 4; ++quad)
        __builtin_memcpy(to + (quad * kPanel + p.lane) * 4, words + quad * kPanel, lanes * 4);
      __builtin_memcpy(to + kGroup * kPanel + p.lane * 2, scales, lanes * 2);
    }
  }
}

}  // namespace
}  // namespace triga
