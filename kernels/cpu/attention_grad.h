// Gradients of attention over packed rows, see AttentionGradArgs in kernel_training.h. A tile owns the keys of one kv head and the
// queries of its group of heads. It takes kGradRows pairs (row, head of the group) at a time, for which scores and their gradients
// stand in scratch memory, keys that no pair sees left out: the softmax is computed anew, D comes from it, and all five products
// run on the tiles of product.h. Error: about that of f32 sums of head_dim, of the keys and of the rows.
// Source: Dao et al. 2022, https://arxiv.org/abs/2205.14135, appendix B
#pragma once
#include "kernels/cpu/kernel_training.h"
#include "kernels/cpu/packed_attention.h"
#include "kernels/cpu/product.h"

namespace triga {
namespace {

constexpr int64_t kGradRows = 24;  // a multiple of every kMaxTileRows

// A tile's scratch memory: rows of `width` floats, head_dim in whole vectors, and of `keys`, in whole
// blocks, `stride` apart: not so many lines that all rows would fall into the same places of a cache.
struct GradScratch {
  int64_t width, keys, stride;
  float* k;        // [keys][width]
  float* k_lanes;  // [keys / 16][head_dim][16]
  float* v_lanes;
  float* dk;  // [keys][width]
  float* dv;
  float* q;  // [kGradRows][width], times the scale
  float* dy;
  float* dq;
  float* p;    // [kGradRows][stride]: scores, then the softmax
  float* ds;   // gradients of the softmax, then of the scores
  float* cap;  // what a soft cap multiplies gradients with; there only with one
};

inline GradScratch grad_places(const PackedAttentionArgs& a, int64_t keys, float* at) {
  GradScratch s;
  s.width = ceil_div(a.head_dim, 16) * 16;
  s.keys = packed_blocks(keys) * kBlock;
  s.stride = s.keys + 16;
  const auto take = [&](int64_t n) {
    float* place = at;
    at += n;
    return place;
  };
  s.k = take(s.keys * s.width);
  s.k_lanes = take(s.keys * s.width);
  s.v_lanes = take(s.keys * s.width);
  s.dk = take(s.keys * s.width);
  s.dv = take(s.keys * s.width);
  s.q = take(kGradRows * s.width);
  s.dy = take(kGradRows * s.width);
  s.dq = take(kGradRows * s.width);
  s.p = take(kGradRows * s.stride);
  s.ds = take(kGradRows * s.stride);
  s.cap = a.softcap != 0 ? take(kGradRows * s.stride) : nullptr;
  return s;
}

inline size_t attention_grad_scratch(const AttentionGradArgs& a) {
  const PackedAttentionArgs& f = a.attention;
  const int64_t width = ceil_div(f.head_dim, 16) * 16, keys = packed_blocks(f.keys) * kBlock;
  const int64_t scores = f.softcap != 0 ? 3 : 2;
  const int64_t rows = kGradRows * (3 * width + scores * (keys + 16));
  return static_cast<size_t>(5 * keys * width + rows) * sizeof(float);
}

// One pair's keys, absolute in the sequence.
struct GradPair {
  int64_t from, to, position;
  float slope;
};

// Scores become exponentials of what is left to the greatest, and 0 where the pair does not see the key. Returns 1 / their sum.
inline float grad_softmax(const PackedAttentionArgs& a, const GradPair& pair, int64_t from,
                          int64_t to, float* s, float* cap) {
  alignas(64) static constexpr float kLanes[16] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                   8, 9, 10, 11, 12, 13, 14, 15};
  const F32x16 lowest = F32x16::set(-HUGE_VALF), lane = F32x16::load(kLanes);
  const F32x16 one = F32x16::set(1.0f);
  F32x16 greatest = lowest;
  for (int64_t j = from; j < to; j += 16) {
    F32x16 x = F32x16::load(s + j);
    if (a.softcap != 0) {
      const F32x16 c = F32x16::set(a.softcap), t = tanh(x / c);
      (one - t * t).store(cap + j);
      x = c * t;
    }
    if (a.slopes) {
      const float distance = static_cast<float>(j - pair.position);
      x = fma(F32x16::set(pair.slope), lane + F32x16::set(distance), x);
    }
    const F32x16 low = F32x16::set(static_cast<float>(pair.from - j));
    const F32x16 high = F32x16::set(static_cast<float>(pair.to - 1 - j));
    x = select(less(lane, low) | less(high, lane), lowest, x);
    greatest = max_nan(greatest, x);
    x.store(s + j);
  }
  const float top = max_lane(greatest);
  const F32x16 shift = F32x16::set(top == -HUGE_VALF ? 0.0f : top);
  F32x16 total = F32x16::zero();
  for (int64_t j = from; j < to; j += 16) {
    const F32x16 x = F32x16::load(s + j);
    const F32x16 e = select(equal(x, lowest), F32x16::zero(), exp(x - shift));
    total = total + e;
    e.store(s + j);
  }
  const float all = sum(total);
  return all == 0 ? 0.0f : 1.0f / all;
}

// P from exponentials, and the gradients of scores from those of P.
inline void grad_scores(float inverse, int64_t from, int64_t to, float* p, float* ds,
                        const float* cap) {
  const F32x16 f = F32x16::set(inverse);
  F32x16 total = F32x16::zero();
  for (int64_t j = from; j < to; j += 16) {
    const F32x16 v = F32x16::load(p + j) * f;
    v.store(p + j);
    total = fma(v, F32x16::load(ds + j), total);
  }
  const F32x16 d = F32x16::set(sum(total));
  for (int64_t j = from; j < to; j += 16) {
    F32x16 g = F32x16::load(p + j) * (F32x16::load(ds + j) - d);
    if (cap) g = g * F32x16::load(cap + j);
    g.store(ds + j);
  }
}

// A head's rows lie far apart, where no hardware prefetches them.
inline void prefetch_rows(const float* x, int64_t stride, int64_t begin, int64_t end, int64_t dim) {
  for (int64_t r = begin; r < end; ++r) {
    for (int64_t i = 0; i < dim; i += 16) prefetch(x + r * stride + i);
  }
}

inline void copy_row(const float* x, int64_t dim, int64_t width, F32x16 scale, float* y) {
  for (int64_t i = 0; i < width; i += 16) (load_upto(x + i, dim - i) * scale).store(y + i);
}

// `count` pairs from pair number `first`, numbered row · group + head in the group.
inline void attention_grad_rows(const AttentionGradArgs& g, const GradScratch& s, int64_t b,
                                int64_t kv_head, int64_t first, int64_t count) {
  const PackedAttentionArgs& a = g.attention;
  const int64_t group = a.heads / a.kv_heads, dim = a.head_dim,
                keys = a.k_starts[b + 1] - a.k_starts[b];
  const int64_t position0 = keys - (a.q_starts[b + 1] - a.q_starts[b]);
  const auto place = [&](int64_t r) {
    const int64_t t = (first + r) / group, head = kv_head * group + (first + r) % group;
    return ((a.q_starts[b] + t) * a.heads + head) * dim;
  };
  GradPair pairs[kGradRows];
  int64_t from = keys, to = 0;
  for (int64_t r = 0; r < count; ++r) {
    GradPair& p = pairs[r];
    p.position = position0 + (first + r) / group;
    p.from = a.window > 0 ? most(p.position - a.window + 1, 0) : 0;
    p.to = a.causal ? least(p.position + 1, keys) : keys;
    p.slope = a.slopes ? a.slopes[kv_head * group + (first + r) % group] : 0;
    if (p.from < p.to) {
      from = least(from, p.from);
      to = most(to, p.to);
    }
    copy_row(a.q + place(r), dim, s.width, F32x16::set(a.scale), s.q + r * s.width);
    copy_row(g.dy + place(r), dim, s.width, F32x16::set(1.0f), s.dy + r * s.width);
  }
  from = from / kBlock * kBlock;
  to = ceil_div(to, kBlock) * kBlock;
  for (int64_t r = 0; r < count; ++r) prefetch_rows(g.dq + place(r), 0, 0, 1, dim);
  for (int64_t r = kGradRows; r < least(2 * kGradRows, packed_pairs(a, b) - first); ++r) {
    prefetch_rows(a.q + place(r), 0, 0, 1, dim);
    prefetch_rows(g.dy + place(r), 0, 0, 1, dim);
  }
  if (from < to) {
    const int64_t panels = s.width / 16, blocks = (to - from) / kBlock;
    const auto lanes = [&](const float* x, const float* k, float* y) {
      product<false>({x, s.width, k + from * dim, 16, dim * 16, y + from, s.stride}, count, blocks,
                     dim, false);
    };
    lanes(s.q, s.k_lanes, s.p);
    lanes(s.dy, s.v_lanes, s.ds);
    for (int64_t r = 0; r < count; ++r) {
      float* p = s.p + r * s.stride;
      float* cap = s.cap ? s.cap + r * s.stride : nullptr;
      const float inverse = grad_softmax(a, pairs[r], from, to, p, cap);
      grad_scores(inverse, from, to, p, s.ds + r * s.stride, cap);
    }
    product<false>({s.ds + from, s.stride, s.k + from * s.width, s.width, 16, s.dq, s.width}, count,
                   panels, to - from, false);
    product<true>({s.p + from, s.stride, s.dy, s.width, 16, s.dv + from * s.width, s.width},
                  to - from, panels, count, true);
    product<true>({s.ds + from, s.stride, s.q, s.width, 16, s.dk + from * s.width, s.width},
                  to - from, panels, count, true);
  }
  for (int64_t r = 0; r < count; ++r) {
    for (int64_t i = 0; i < dim; i += 16) {
      const F32x16 v = from < to ? F32x16::load(s.dq + r * s.width + i) : F32x16::zero();
      store_upto(v * F32x16::set(a.scale), g.dq + place(r) + i, dim - i);
    }
  }
}

inline int64_t attention_grad_tiles(const AttentionGradArgs& a) {
  return a.attention.batch * a.attention.kv_heads;
}
inline void attention_grad_run(const AttentionGradArgs& g, int64_t begin, int64_t end,
                               void* scratch) {
  const PackedAttentionArgs& a = g.attention;
  const int64_t dim = a.head_dim, stride = a.kv_heads * dim;
  for (int64_t tile = begin; tile < end; ++tile) {
    const int64_t b = tile / a.kv_heads, kv_head = tile % a.kv_heads;
    const int64_t keys = a.k_starts[b + 1] - a.k_starts[b];
    const int64_t at = a.k_starts[b] * stride + kv_head * dim;
    const GradScratch s = grad_places(a, keys, static_cast<float*>(scratch));
    transpose_rows(a.k + at, stride, keys, dim, s.k_lanes);
    transpose_rows(a.v + at, stride, keys, dim, s.v_lanes);
    for (int64_t j = 0; j < keys; ++j)
      copy_row(a.k + at + j * stride, dim, s.width, F32x16::set(1.0f), s.k + j * s.width);
    for (int64_t i = keys * s.width; i < s.keys * s.width; i += 16) F32x16::zero().store(s.k + i);
    for (int64_t i = 0; i < s.keys * s.width; i += 16) {
      F32x16::zero().store(s.dk + i);
      F32x16::zero().store(s.dv + i);
    }
    const int64_t pairs = packed_pairs(a, b);
    for (int64_t first = 0; first < pairs; first += kGradRows) {
      const int64_t next = least(pairs, first + kGradRows);
      const int64_t from = first * keys / pairs, to = next * keys / pairs;
      prefetch_rows(g.dk + at, stride, from, to, dim);
      prefetch_rows(g.dv + at, stride, from, to, dim);
      if (kv_head + 1 < a.kv_heads) {
        prefetch_rows(a.k + at + dim, stride, from, to, dim);
        prefetch_rows(a.v + at + dim, stride, from, to, dim);
      }
      attention_grad_rows(g, s, b, kv_head, first, next - first);
    }
    for (int64_t j = 0; j < keys; ++j) {
      for (int64_t i = 0; i < dim; i += 16) {
        store_upto(F32x16::load(s.dk + j * s.width + i), g.dk + at + j * stride + i, dim - i);
        store_upto(F32x16::load(s.dv + j * s.width + i), g.dv + at + j * stride + i, dim - i);
      }
    }
  }
}

}  // namespace
}  // namespace triga
