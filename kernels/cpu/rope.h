// Rotary embedding: tables of angles, and the step between the q, k, v projection and the KV cache.
// See kernel.h. rope_kv_write: (u, v) becomes (u cos − v sin, v cos + u sin); heads may be
// normalized by RMS before. k goes to the cache transposed within its block, [head_dim][16]; v as
// it is, [16][head_dim]. Works for any head_dim; halves' tails are masked.
// Source: Su et al. 2021, https://arxiv.org/abs/2104.09864
#pragma once
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/norm.h"
#include "kernels/cpu/simd/vec.h"

namespace triga {
namespace {

inline int64_t rope_table_tiles(const RopeTableArgs& a) { return a.rows; }

// The angle is rounded to f32, as models are trained with it; its sine and cosine are right to the
// last bit or so.
inline void rope_table_run(const RopeTableArgs& a, int64_t begin, int64_t end, void*) {
  for (int64_t r = begin; r < end; ++r) {
    const float* freq = a.inv_freq + (a.set ? a.set[r] : 0) * a.half;
    for (int64_t i = 0; i < a.half; ++i) {
      const float angle = static_cast<float>(a.positions[r]) * freq[i];
      a.cos[r * a.half + i] = static_cast<float>(::cos(static_cast<double>(angle))) * a.scale;
      a.sin[r * a.half + i] = static_cast<float>(::sin(static_cast<double>(angle))) * a.scale;
    }
  }
}

inline void rope_rotate(const RopeKvWriteArgs& a, int64_t row, float* x) {
  const float* cos = a.cos + row * a.half;
  const float* sin = a.sin + row * a.half;
  if (a.interleaved) {
    for (int64_t i = 0; i < a.half; ++i) {
      const float u = x[2 * i], v = x[2 * i + 1];
      x[2 * i] = u * cos[i] - v * sin[i];
      x[2 * i + 1] = v * cos[i] + u * sin[i];
    }
    return;
  }
  for (int64_t i = 0; i < a.half; i += 16) {
    const int64_t n = a.half - i;
    const F32x16 u = load_upto(x + i, n), v = load_upto(x + a.half + i, n);
    const F32x16 c = load_upto(cos + i, n), s = load_upto(sin + i, n);
    store_upto(u * c - v * s, x + i, n);
    store_upto(v * c + u * s, x + a.half + i, n);
  }
}

// One head of q or k: normalized, rotated, into `to`.
inline void rope_head(const RopeKvWriteArgs& a, int64_t row, const float* from, const float* norm,
                      float* to) {
  const int64_t d = a.head_dim;
  F32x16 scale = F32x16::set(1.0f);
  if (norm) scale = F32x16::set(rms_scale(sum_squares(from, d), d, a.eps));
  for (int64_t i = 0; i < d; i += 16) {
    F32x16 v = load_upto(from + i, d - i);
    if (norm) v = v * scale * load_upto(norm + i, d - i);
    store_upto(v, to + i, d - i);
  }
  if (a.cos) rope_rotate(a, row, to);
}

inline int64_t rope_kv_write_tiles(const RopeKvWriteArgs& a) { return a.rows; }
inline size_t rope_kv_write_scratch(const RopeKvWriteArgs& a) {
  return static_cast<size_t>(a.head_dim) * sizeof(float);
}

inline void rope_kv_write_run(const RopeKvWriteArgs& a, int64_t begin, int64_t end, void* scratch) {
  const int64_t d = a.head_dim;
  float* head = static_cast<float*>(scratch);
  for (int64_t r = begin; r < end; ++r) {
    const float* q = a.qkv + r * a.qkv_stride;
    const float* k = q + a.heads * d;
    const float* v = k + a.kv_heads * d;
    if (a.q) {
      for (int64_t h = 0; h < a.heads; ++h) {
        rope_head(a, r, q + h * d, a.q_norm, a.q + (r * a.heads + h) * d);
      }
    }
    const int64_t slot = a.slots[r];
    if (slot < 0) continue;
    const int64_t block = slot / kBlock, at = slot % kBlock;
    for (int64_t h = 0; h < a.kv_heads; ++h) {
      const int64_t base = (block * a.kv_heads + h) * d * kBlock;
      rope_head(a, r, k + h * d, a.k_norm, head);
      for (int64_t i = 0; i < d; ++i) a.k_cache[base + i * kBlock + at] = head[i];
      __builtin_memcpy(a.v_cache + base + at * d, v + h * d,
                       static_cast<size_t>(d) * sizeof(float));
    }
  }
}

}  // namespace
}  // namespace triga
