// Attention over packed rows, see PackedAttentionArgs in kernel_training.h. A tile lays its keys and values out as blocks of a cache
// in scratch memory and goes on as attention.h does, so a sequence has the bits here that it has through the cache.
#pragma once
#include "kernels/cpu/attention.h"
#include "kernels/cpu/kernel_training.h"

namespace triga {
namespace {

constexpr int64_t kPackedPairs = 10 * kAttentionRows;

TRIGA_INLINE int64_t packed_blocks(int64_t keys) { return ceil_div(keys, kBlock); }
TRIGA_INLINE int64_t packed_pairs(const PackedAttentionArgs& a, int64_t b) {
  return (a.q_starts[b + 1] - a.q_starts[b]) * (a.heads / a.kv_heads);
}

inline int64_t packed_attention_tiles(const PackedAttentionArgs& a) {
  int64_t tiles = 0;
  for (int64_t b = 0; b < a.batch; ++b)
    tiles += ceil_div(packed_pairs(a, b), kPackedPairs) * a.kv_heads;
  return tiles;
}

// After attention.h's own: keys, values and their numbers, [blocks] each.
inline AttentionArgs packed_shape(const PackedAttentionArgs& a) {
  AttentionArgs s{};
  s.batch = s.kv_heads = 1;
  s.heads = a.heads / a.kv_heads;
  s.head_dim = a.head_dim;
  s.q_stride = s.y_stride = a.heads * a.head_dim;
  s.window = a.window;
  s.causal = a.causal;
  s.scale = a.scale;
  s.softcap = a.softcap;
  return s;
}
inline size_t packed_attention_scratch(const PackedAttentionArgs& a) {
  const size_t blocks = static_cast<size_t>(packed_blocks(a.keys));
  const size_t block = static_cast<size_t>(2 * kBlock * a.head_dim) * sizeof(float);
  return attention_scratch(packed_shape(a)) + blocks * (block + sizeof(int32_t));
}

// Rows [n, dim] `stride` apart as blocks [dim][16]; what is past the last row of a block is 0.
inline void transpose_rows(const float* x, int64_t stride, int64_t n, int64_t dim, float* y) {
  alignas(64) float m[256];
  for (int64_t j = 0; j < n; j += kBlock, y += dim * kBlock) {
    const int64_t rows = least(kBlock, n - j);
    for (int64_t d = 0; d < dim; d += 16) {
      for (int64_t r = 0; r < 16; ++r) {
        const F32x16 v = r < rows ? load_upto(x + (j + r) * stride + d, dim - d) : F32x16::zero();
        v.store(m + r * 16);
      }
      transpose16(reinterpret_cast<uint32_t*>(m));
      const int64_t columns = least(16, dim - d);
      for (int64_t r = 0; r < columns; ++r) F32x16::load(m + r * 16).store(y + (d + r) * kBlock);
    }
  }
}

inline void packed_attention_run(const PackedAttentionArgs& a, int64_t begin, int64_t end,
                                 void* scratch) {
  AttentionArgs s = packed_shape(a);
  const int64_t dim = a.head_dim, group = s.heads, stride = a.kv_heads * dim;
  float* k = static_cast<float*>(scratch) + attention_scratch(s) / sizeof(float);
  float* v = k + packed_blocks(a.keys) * kBlock * dim;
  int32_t* table = reinterpret_cast<int32_t*>(v + packed_blocks(a.keys) * kBlock * dim);
  s.k_cache = k;
  s.v_cache = v;
  s.block_tables = table;
  int64_t base = 0, packed_for = -1;
  for (int64_t b = 0; b < a.batch && base < end; ++b) {
    const int64_t pairs = packed_pairs(a, b), parts = ceil_div(pairs, kPackedPairs);
    const int32_t keys = a.k_starts[b + 1] - a.k_starts[b];
    for (int64_t tile = most(begin, base); tile < least(end, base + parts * a.kv_heads); ++tile) {
      const int64_t head = (tile - base) / parts, part = (tile - base) % parts;
      if (packed_for != b * a.kv_heads + head) {
        packed_for = b * a.kv_heads + head;
        const int64_t at = a.k_starts[b] * stride + head * dim;
        transpose_rows(a.k + at, stride, keys, dim, k);
        for (int64_t j = 0; j < keys; ++j)
          __builtin_memcpy(v + j * dim, a.v + at + j * stride,
                           static_cast<size_t>(dim) * sizeof(float));
        for (int32_t i = 0; i < packed_blocks(keys); ++i) table[i] = i;
      }
      s.q = a.q + head * group * dim;
      s.y = a.y + head * group * dim;
      s.slopes = a.slopes ? a.slopes + head * group : nullptr;
      s.q_starts = a.q_starts + b;
      s.context_lens = &keys;
      for (int64_t first = part * kPackedPairs; first < least(pairs, (part + 1) * kPackedPairs);
           first += kAttentionRows)
        attention_tile(s, 0, 0, first, least(kAttentionRows, pairs - first), scratch);
    }
    base += parts * a.kv_heads;
  }
}

}  // namespace
}  // namespace triga
