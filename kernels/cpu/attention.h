// Scaled dot-product attention over KV blocks, see AttentionArgs in kernel.h for formula, layout
// and masks.
//
// A tile is up to kAttentionRows pairs (row, head of the kv head's group): the pairs share each
// load of K and V. Keys are taken in spans of 64 at absolute positions. Within a span: scores, one
// FMA chain over the head dimension each, 16 keys to a vector; the span's maximum; exponentials and
// their sum (keys 16 apart in a lane, then lanes by halves); Σ p · v, a chain over ascending keys.
// Spans are then merged in ascending order. A pair's chain starts and ends with its own keys: where
// the pairs of a register tile differ (the causal diagonal, a window's edge), each continues its
// chain alone, so a masked key cannot leave a trace (0 · NaN is NaN), and neither can lanes of a K
// block past the sequence's end, which never mix with others. Error: about that of f32 sums of
// head_dim and of 64 terms; softmax within 3 ulp.
// Source of the online softmax: Milakov & Gimelshein 2018, https://arxiv.org/abs/1805.02867
#pragma once
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/simd/vec.h"

namespace triga {
namespace {

constexpr int64_t kAttentionRows = 24;  // a multiple of every kMaxTileRows
constexpr int64_t kSpanBlocks = kSpan / kBlock;

struct AttentionPair {
  int64_t from, to;    // its keys
  int64_t begin, end;  // its keys in this span
  int64_t position;
  float slope;
  float max, sum;            // of the spans so far
  float span_max, span_sum;  // of this one
};

// scores[r][key] += over R pairs and P blocks of keys: q[r][d] · k[d][16].
template <int R, int P>
void attention_scores(const float* q, int64_t dim, const float* const* blocks, float* scores) {
  F32x16 acc[R][P];
  const float* k[P];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p < P; ++p) acc[r][p] = F32x16::zero();
  }
#pragma GCC unroll 4
  for (int p = 0; p < P; ++p) k[p] = blocks[p];
  for (int64_t d = 0; d < dim; ++d) {
    F32x16 w[P];
#pragma GCC unroll 4
    for (int p = 0; p < P; ++p) w[p] = F32x16::load(k[p] + d * kBlock);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const F32x16 a = F32x16::set(q[r * dim + d]);
#pragma GCC unroll 4
      for (int p = 0; p < P; ++p) acc[r][p] = fma(a, w[p], acc[r][p]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p < P; ++p) acc[r][p].store(scores + r * kSpan + p * kBlock);
  }
}

// out[r][c · 16 …] += Σ p[r][j] · v[j][c · 16 …] for the keys j in [begin, end) of the span, R
// pairs and C vectors; the last vector has `last` columns. `v`: the span's V blocks, from this
// column on.
template <int R, int C>
void attention_values(const float* p, const float* const* v, int64_t column, int64_t begin,
                      int64_t end, int64_t dim, int64_t out_stride, int64_t last, float* out) {
  F32x16 acc[R][C];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) acc[r][c] = F32x16::load(out + r * out_stride + c * 16);
  }
  for (int64_t j = begin; j < end;) {
    const float* row = v[j / kBlock] + (j % kBlock) * dim + column;
    const int64_t stop = least(end, (j / kBlock + 1) * kBlock);
    for (; j < stop; ++j, row += dim) {
      F32x16 w[C];
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) {
        w[c] =
            c + 1 < C || last == 16 ? F32x16::load(row + c * 16) : F32x16::load(row + c * 16, last);
      }
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const F32x16 a = F32x16::set(p[r * kSpan + j]);
#pragma GCC unroll 4
        for (int c = 0; c < C; ++c) acc[r][c] = fma(a, w[c], acc[r][c]);
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) acc[r][c].store(out + r * out_stride + c * 16);
  }
}

using AttentionScores = void (*)(const float*, int64_t, const float* const*, float*);
using AttentionValues = void (*)(const float*, const float* const*, int64_t, int64_t, int64_t,
                                 int64_t, int64_t, int64_t, float*);

// Register tiles by pairs: whole = as many vectors as the registers hold, single = one.
struct AttentionTiles {
  AttentionScores scores_whole[13], scores_single[13];
  AttentionValues values_whole[13], values_single[13];
};
template <int R>
constexpr void list_tiles(AttentionTiles& t) {
  if constexpr (R > 0) {
    t.scores_whole[R] = attention_scores<R, tile_panels(R)>;
    t.scores_single[R] = attention_scores<R, 1>;
    t.values_whole[R] = attention_values<R, tile_panels(R)>;
    t.values_single[R] = attention_values<R, 1>;
    list_tiles<R - 1>(t);
  }
}
constexpr AttentionTiles make_attention_tiles() {
  AttentionTiles t{};
  list_tiles<kMaxTileRows>(t);
  return t;
}
constexpr AttentionTiles kAttentionTiles = make_attention_tiles();

// A tile's scratch memory: rows of `width` floats, head_dim in whole vectors.
struct AttentionScratch {
  int64_t width;
  float* q;       // [kAttentionRows][head_dim]
  float* scores;  // [kAttentionRows][kSpan]
  float* span;    // [kAttentionRows][width]: Σ p · v of a span
  float* out;     // [kAttentionRows][width]: of the spans so far
};

TRIGA_INLINE int64_t attention_width(const AttentionArgs& a) {
  return ceil_div(a.head_dim, 16) * 16;
}
inline size_t attention_scratch(const AttentionArgs& a) {
  const int64_t floats = kAttentionRows * (3 * attention_width(a) + kSpan);
  return static_cast<size_t>(floats) * sizeof(float);
}
TRIGA_INLINE AttentionScratch attention_places(const AttentionArgs& a, void* scratch) {
  AttentionScratch s;
  s.width = attention_width(a);
  s.scores = static_cast<float*>(scratch);
  s.span = s.scores + kAttentionRows * kSpan;
  s.out = s.span + kAttentionRows * s.width;
  s.q = s.out + kAttentionRows * s.width;
  return s;
}

// Scores become exponentials; keys that the pair does not see become 0, whatever their score (it
// may be NaN).
inline void attention_softmax(const AttentionArgs& a, int64_t start, AttentionPair& pair,
                              float* s) {
  const F32x16 lowest = F32x16::set(-HUGE_VALF), scale = F32x16::set(a.scale);
  const int64_t from = pair.begin / kBlock, to = ceil_div(pair.end, kBlock);
  alignas(64) static constexpr float kLanes[16] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                   8, 9, 10, 11, 12, 13, 14, 15};
  F32x16 v[kSpanBlocks], greatest = lowest;
  Mask16 hidden[kSpanBlocks];
  for (int64_t b = from; b < to; ++b) {
    F32x16 x = F32x16::load(s + b * kBlock) * scale;
    if (a.softcap != 0) {
      const F32x16 cap = F32x16::set(a.softcap);
      x = cap * tanh(x / cap);
    }
    const F32x16 lane = F32x16::load(kLanes);
    if (a.slopes) {
      const float distance = static_cast<float>(start + b * kBlock - pair.position);
      x = fma(F32x16::set(pair.slope), lane + F32x16::set(distance), x);
    }
    const F32x16 low = F32x16::set(static_cast<float>(pair.begin - b * kBlock));
    const F32x16 high = F32x16::set(static_cast<float>(pair.end - b * kBlock));
    hidden[b] = less(lane, low) | less(high - F32x16::set(1.0f), lane);
    v[b] = x;
    greatest = max(select(hidden[b], lowest, x), greatest);
  }
  pair.span_max = max_lane(greatest);
  // A span of −inf only gives sums of 0, not of NaN.
  const F32x16 shift = F32x16::set(pair.span_max == -HUGE_VALF ? 0.0f : pair.span_max);
  F32x16 total = F32x16::zero();
  for (int64_t b = from; b < to; ++b) {
    const F32x16 e = select(hidden[b], F32x16::zero(), exp(v[b] - shift));
    total = total + e;
    e.store(s + b * kBlock);
  }
  pair.span_sum = sum(total);
}

// exp(a − b) of maxima, where b is at least a; 1 where both are −inf.
TRIGA_INLINE F32x16 attention_rescale(float from, float to) {
  if (from == to) return F32x16::set(1.0f);
  return exp(F32x16::set(from - to));
}

inline void attention_merge(const AttentionScratch& s, int64_t r, AttentionPair& pair) {
  float* out = s.out + r * s.width;
  const float* span = s.span + r * s.width;
  const bool higher = pair.span_max > pair.max;
  const F32x16 f =
      attention_rescale(higher ? pair.max : pair.span_max, higher ? pair.span_max : pair.max);
  alignas(64) float factor[16];
  f.store(factor);
  if (higher) {
    for (int64_t i = 0; i < s.width; i += 16) {
      fma(F32x16::load(out + i), f, F32x16::load(span + i)).store(out + i);
    }
    pair.sum = pair.sum * factor[0] + pair.span_sum;
    pair.max = pair.span_max;
  } else {
    for (int64_t i = 0; i < s.width; i += 16) {
      fma(F32x16::load(span + i), f, F32x16::load(out + i)).store(out + i);
    }
    pair.sum = pair.span_sum * factor[0] + pair.sum;
  }
}

// Σ p · v of n pairs for the keys [begin, end).
inline void attention_sum(const AttentionArgs& a, const AttentionScratch& s, int64_t r, int64_t n,
                          const float* const* v, int64_t begin, int64_t end) {
  if (begin >= end) return;
  const int64_t wide = tile_panels(static_cast<int>(n)) * 16, last = (a.head_dim - 1) % 16 + 1;
  const float* p = s.scores + r * kSpan;
  int64_t c = 0;
  for (; c + wide <= s.width; c += wide) {
    kAttentionTiles.values_whole[n](p, v, c, begin, end, a.head_dim, s.width,
                                    c + wide == s.width ? last : 16, s.span + r * s.width + c);
  }
  for (; c < s.width; c += 16) {
    kAttentionTiles.values_single[n](p, v, c, begin, end, a.head_dim, s.width,
                                     c + 16 == s.width ? last : 16, s.span + r * s.width + c);
  }
}

// The span of keys [start, start + 64) for a tile's pairs, which all have `begin` and `end` set.
inline void attention_span(const AttentionArgs& a, const AttentionScratch& s, int64_t start,
                           AttentionPair* pairs, int64_t count, const float* const* k,
                           const float* const* v) {
  const int64_t tiles = ceil_div(count, kMaxTileRows);
  for (int64_t r = 0, left = tiles; left > 0; --left) {
    const int64_t n = ceil_div(count - r, left);
    int64_t begin = kSpan, end = 0;          // of any pair
    int64_t all_begin = 0, all_end = kSpan;  // of all pairs
    for (int64_t i = r; i < r + n; ++i) {
      if (pairs[i].begin >= pairs[i].end) {
        all_end = 0;
        continue;
      }
      begin = least(begin, pairs[i].begin);
      end = most(end, pairs[i].end);
      all_begin = most(all_begin, pairs[i].begin);
      all_end = least(all_end, pairs[i].end);
    }
    if (begin < end) {
      const int64_t wide = tile_panels(static_cast<int>(n)), to = ceil_div(end, kBlock);
      int64_t b = begin / kBlock;
      float* scores = s.scores + r * kSpan;
      for (; b + wide <= to; b += wide) {
        kAttentionTiles.scores_whole[n](s.q + r * a.head_dim, a.head_dim, k + b,
                                        scores + b * kBlock);
      }
      for (; b < to; ++b) {
        kAttentionTiles.scores_single[n](s.q + r * a.head_dim, a.head_dim, k + b,
                                         scores + b * kBlock);
      }
      for (int64_t i = r; i < r + n; ++i) {
        if (pairs[i].begin < pairs[i].end)
          attention_softmax(a, start, pairs[i], s.scores + i * kSpan);
      }
      for (int64_t i = 0; i < n * s.width; i += 16) F32x16::zero().store(s.span + r * s.width + i);
      all_end = most(all_end, all_begin);
      for (int64_t i = r; i < r + n; ++i) {
        attention_sum(a, s, i, 1, v, pairs[i].begin, least(all_begin, pairs[i].end));
      }
      attention_sum(a, s, r, n, v, all_begin, all_end);
      for (int64_t i = r; i < r + n; ++i) {
        attention_sum(a, s, i, 1, v, most(all_end, pairs[i].begin), pairs[i].end);
        if (pairs[i].begin < pairs[i].end) attention_merge(s, i, pairs[i]);
      }
    }
    r += n;
  }
}

// `count` pairs from pair number `first` of sequence b and one kv head; pairs are numbered row ·
// group + head in the group.
inline void attention_tile(const AttentionArgs& a, int64_t b, int64_t kv_head, int64_t first,
                           int64_t count, void* scratch) {
  const AttentionScratch s = attention_places(a, scratch);
  const int64_t group = a.heads / a.kv_heads, dim = a.head_dim;
  const int64_t context = a.context_lens[b], row0 = a.q_starts[b];
  const int64_t position0 = context - (a.q_starts[b + 1] - row0);
  AttentionPair pairs[kAttentionRows];
  int64_t from = INT64_MAX, to = 0;
  for (int64_t r = 0; r < count; ++r) {
    const int64_t t = (first + r) / group, head = kv_head * group + (first + r) % group;
    AttentionPair& p = pairs[r];
    p.position = position0 + t;
    p.from = a.window > 0 ? most(p.position - a.window + 1, 0) : 0;
    p.to = a.causal ? least(p.position + 1, context) : context;
    p.slope = a.slopes ? a.slopes[head] : 0;
    p.max = -HUGE_VALF;
    p.sum = 0;
    if (p.from < p.to) {
      from = least(from, p.from);
      to = most(to, p.to);
    }
    __builtin_memcpy(s.q + r * dim, a.q + (row0 + t) * a.q_stride + head * dim,
                     static_cast<size_t>(dim) * sizeof(float));
  }
  for (int64_t i = 0; i < count * s.width; i += 16) F32x16::zero().store(s.out + i);

  const int32_t* table = a.block_tables + b * a.max_blocks;
  for (int64_t start = from < to ? from / kSpan * kSpan : to; start < to; start += kSpan) {
    const float* k[kSpanBlocks] = {};
    const float* v[kSpanBlocks] = {};
    for (int64_t i = 0; i < kSpanBlocks; ++i) {
      const int64_t at = start + i * kBlock;
      if (at >= to || at + kBlock <= from) continue;  // such a table entry need not exist
      const int64_t place = (table[at / kBlock] * a.kv_heads + kv_head) * dim * kBlock;
      k[i] = a.k_cache + place;
      v[i] = a.v_cache + place;
    }
    // Few pairs wait for memory: ask for the next span. Many find it in L2, where the tile before
    // left it.
    for (int64_t i = 0; i < kSpanBlocks && count <= kMaxTileRows; ++i) {
      const int64_t at = start + kSpan + i * kBlock;
      if (at >= to) break;
      const int64_t place = (table[at / kBlock] * a.kv_heads + kv_head) * dim * kBlock;
      for (int64_t l = 0; l < dim; ++l) {
        prefetch(a.k_cache + place + l * kBlock);
        prefetch(a.v_cache + place + l * kBlock);
      }
    }
    for (int64_t r = 0; r < count; ++r) {
      pairs[r].begin = most(pairs[r].from - start, 0);
      pairs[r].end = least(pairs[r].to - start, kSpan);
    }
    attention_span(a, s, start, pairs, count, k, v);
  }

  for (int64_t r = 0; r < count; ++r) {
    const int64_t t = (first + r) / group, head = kv_head * group + (first + r) % group;
    float* y = a.y + (row0 + t) * a.y_stride + head * dim;
    const bool none = pairs[r].from >= pairs[r].to;
    const F32x16 inverse = F32x16::set(none ? 0.0f : 1.0f / pairs[r].sum);
    for (int64_t i = 0; i < dim; i += 16) {
      store_upto(F32x16::load(s.out + r * s.width + i) * inverse, y + i, dim - i);
    }
  }
}

inline int64_t attention_row_tiles(const AttentionArgs& a, int64_t b) {
  return ceil_div((a.q_starts[b + 1] - a.q_starts[b]) * (a.heads / a.kv_heads), kAttentionRows);
}
inline int64_t attention_tiles(const AttentionArgs& a) {
  int64_t tiles = 0;
  for (int64_t b = 0; b < a.batch; ++b) tiles += attention_row_tiles(a, b) * a.kv_heads;
  return tiles;
}
// A sequence's last rows see the most keys: they come first, so that threads end together.
inline void attention_run(const AttentionArgs& a, int64_t begin, int64_t end, void* scratch) {
  const int64_t group = a.heads / a.kv_heads;
  int64_t base = 0;
  for (int64_t b = 0; b < a.batch && base < end; ++b) {
    const int64_t rows = attention_row_tiles(a, b);
    const int64_t pairs = (a.q_starts[b + 1] - a.q_starts[b]) * group;
    for (int64_t tile = most(begin, base); tile < least(end, base + rows * a.kv_heads); ++tile) {
      const int64_t head = (tile - base) / rows, row = rows - 1 - (tile - base) % rows;
      const int64_t first = row * kAttentionRows;
      attention_tile(a, b, head, first, least(kAttentionRows, pairs - first), scratch);
    }
    base += rows * a.kv_heads;
  }
}

}  // namespace
}  // namespace triga
