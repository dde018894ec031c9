// Weights into panels, see PackArgs in kernel.h; a tile is a panel that gets columns.
//
// A panel of f32, or of bf16 pairs, is the transpose of 16 source rows in words of 32 bits: blocks
// of 16 × 16 words go through a buffer in L1, sources that need a conversion being converted on the
// way in. f16 goes the same way as pairs, taken apart on the way out. Tails: words past k count as
// 0; a panel whose columns are not all ours gets ours only.
#pragma once
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/simd/vec.h"

namespace triga {
namespace {

constexpr int64_t kPackAhead = 512;

struct PackPlace {
  int64_t source;       // the first source column of the panel
  int64_t lane, lanes;  // where it goes, and how many follow
  char* panel;
};

TRIGA_INLINE int64_t pack_k_words(const PackArgs& a) {
  return a.panel_type == WeightType::kF32 ? a.k : ceil_div(a.k, 2);
}
TRIGA_INLINE int64_t panel_bytes(WeightType type, int64_t k) {
  switch (type) {
    case WeightType::kF32:
      return k * 64;
    case WeightType::kF16:
      return k * 32;
    case WeightType::kBF16:
      return ceil_div(k, 2) * 64;
    case WeightType::kQ8:
      return ceil_div(k, kGroup) * (kGroup + 2) * kPanel;
  }
  return 0;
}

inline PackPlace pack_place(const PackArgs& a, int64_t tile) {
  const int64_t first_panel = a.first_column / kPanel, panel = first_panel + tile;
  const int64_t from = most(panel * kPanel, a.first_column);
  const int64_t to = least((panel + 1) * kPanel, a.first_column + a.n);
  const int64_t place = a.gated == 0 ? panel : 2 * panel + (a.gated - 1);
  return {from - a.first_column, from - panel * kPanel, to - from,
          static_cast<char*>(a.panels) + place * panel_bytes(a.panel_type, a.k)};
}

TRIGA_INLINE F32x16 pack_widen(const void* p, WeightType type) {
  if (type == WeightType::kF32) return F32x16::load(static_cast<const float*>(p));
  const uint16_t* h = static_cast<const uint16_t*>(p);
  return type == WeightType::kF16 ? load_f16(h) : load_bf16(h);
}
// 16 source elements as the panel's type wants them: 16 words of f32, or 16 halves.
TRIGA_INLINE void pack_convert(const void* p, WeightType from, WeightType to, void* out) {
  if (from == to) {
    __builtin_memcpy(out, p, to == WeightType::kF32 ? 64 : 32);
  } else if (to == WeightType::kF32) {
    pack_widen(p, from).store(static_cast<float*>(out));
  } else if (to == WeightType::kF16) {
    store_f16(pack_widen(p, from), static_cast<uint16_t*>(out));
  } else {
    store_bf16(pack_widen(p, from), static_cast<uint16_t*>(out));
  }
}
// The same for fewer than 16; the rest become 0.
inline void pack_convert(const void* p, int64_t n, WeightType from, WeightType to, void* out) {
  alignas(64) char t[64] = {};
  __builtin_memcpy(t, p, static_cast<size_t>(n) * (from == WeightType::kF32 ? 4 : 2));
  pack_convert(t, from, to, out);
}

// 16 words of one source row (f32: 16 of k; halves: 32 of k) from word `at` on.
TRIGA_INLINE void pack_row(const PackArgs& a, const char* row, int64_t at, uint32_t* out) {
  const int64_t size = a.source_type == WeightType::kF32 ? 4 : 2;
  const int64_t step = a.panel_type == WeightType::kF32 ? 1 : 2, k = at * step;
  char* to = reinterpret_cast<char*>(out);
  for (int64_t h = 0; h < step; ++h) {
    const int64_t from = k + 16 * h, n = a.k - from;
    if (n >= 16) {
      pack_convert(row + from * size, a.source_type, a.panel_type, to + 32 * h);
    } else {
      pack_convert(row + from * size * (n > 0), most(n, 0), a.source_type, a.panel_type,
                   to + 32 * h);
    }
  }
}

// words[0 … count): word rows of the panel from `at` on, 16 lanes each.
inline void pack_store(const PackArgs& a, const PackPlace& p, int64_t at, int64_t count,
                       const uint32_t* words) {
  if (a.panel_type != WeightType::kF16) {
    uint32_t* to = reinterpret_cast<uint32_t*>(p.panel) + at * kPanel;
    if (p.lanes == kPanel) {
      __builtin_memcpy(to, words, static_cast<size_t>(count) * 64);
      return;
    }
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t l = p.lane; l < p.lane + p.lanes; ++l)
        to[i * kPanel + l] = words[i * kPanel + l];
    }
    return;
  }
  uint16_t* to = reinterpret_cast<uint16_t*>(p.panel) + at * 2 * kPanel;
  for (int64_t i = 0; i < count; ++i) {
    const bool second = (at + i) * 2 + 1 < a.k;
    if (p.lanes == kPanel && second) {
      for (int64_t l = 0; l < kPanel; ++l) {
        to[i * 32 + l] = static_cast<uint16_t>(words[i * kPanel + l]);
        to[i * 32 + 16 + l] = static_cast<uint16_t>(words[i * kPanel + l] >> 16);
      }
      continue;
    }
    for (int64_t l = p.lane; l < p.lane + p.lanes; ++l) {
      to[i * 32 + l] = static_cast<uint16_t>(words[i * kPanel + l]);
      if (second) to[i * 32 + 16 + l] = static_cast<uint16_t>(words[i * kPanel + l] >> 16);
    }
  }
}

inline void pack_rows(const PackArgs& a, const PackPlace& p) {
  const int64_t size = a.source_type == WeightType::kF32 ? 4 : 2;
  const char* source = static_cast<const char*>(a.source) + p.source * a.k * size;
  const int64_t words = pack_k_words(a), step = a.panel_type == WeightType::kF32 ? 1 : 2;
  alignas(64) uint32_t block[16 * 16] = {};
  for (int64_t at = 0; at < words; at += 16) {
    for (int64_t l = 0; l < p.lanes; ++l) {
      const char* row = source + l * a.k * size;
      prefetch(row + at * step * size +
               kPackAhead);  // 16 streams are more than the hardware follows
      pack_row(a, row, at, block + (p.lane + l) * 16);
    }
    transpose16(block);
    pack_store(a, p, at, least(16, words - at), block);
    if (p.lanes != kPanel) {
      for (uint32_t& w : block) w = 0;
    }
  }
}

// From w[k, n]: a row of the source is a row of the panel already.
inline void pack_columns(const PackArgs& a, const PackPlace& p) {
  const int64_t size = a.source_type == WeightType::kF32 ? 4 : 2;
  const char* source = static_cast<const char*>(a.source) + p.source * size;
  const int64_t step = a.panel_type == WeightType::kF32 ? 1 : 2;
  if (p.lanes == kPanel && a.source_type == WeightType::kF32 && a.panel_type == WeightType::kBF16) {
    const float* from = reinterpret_cast<const float*>(source);
    uint32_t* to = reinterpret_cast<uint32_t*>(p.panel);
    for (int64_t k = 0; k < a.k; k += 2, to += kPanel) {
      const F32x16 odd = k + 1 < a.k ? F32x16::load(from + (k + 1) * a.n) : F32x16::zero();
      store_bf16_pairs(F32x16::load(from + k * a.n), odd, to);
    }
    return;
  }
  alignas(64) uint16_t halves[2][16] = {};
  alignas(64) uint32_t words[16] = {};
  for (int64_t k = 0; k < a.k; k += step) {
    for (int64_t h = 0; h < step; ++h) {
      void* to = step == 1 ? static_cast<void*>(words) : static_cast<void*>(halves[h]);
      const char* from = source + (k + h) * a.n * size;
      if (k + h >= a.k) {
        for (uint16_t& v : halves[h]) v = 0;
      } else if (p.lanes == kPanel) {
        pack_convert(from, a.source_type, a.panel_type, to);
      } else {
        pack_convert(from, p.lanes, a.source_type, a.panel_type, to);
        // Ours begin at p.lane.
        if (step == 1) {
          for (int64_t l = p.lanes - 1; l >= 0; --l) words[p.lane + l] = words[l];
        } else {
          for (int64_t l = p.lanes - 1; l >= 0; --l) halves[h][p.lane + l] = halves[h][l];
        }
      }
    }
    if (step == 2) {
      for (int l = 0; l < 16; ++l)
        words[l] = halves[0][l] | static_cast<uint32_t>(halves[1][l]) << 16;
    }
    pack_store(a, p, k / step, 1, words);
  }
}

inline int64_t pack_tiles(const PackArgs& a) {
  return a.n == 0 ? 0 : ceil_div(a.first_column + a.n, kPanel) - a.first_column / kPanel;
}
inline void pack_run(const PackArgs& a, int64_t begin, int64_t end, void*) {
  for (int64_t tile = begin; tile < end; ++tile) {
    const PackPlace p = pack_place(a, tile);
    if (a.transposed) {
      pack_columns(a, p);
    } else {
      pack_rows(a, p);
    }
  }
}

}  // namespace
}  // namespace triga
