// y[i, :] = W[ids[i], :] out of panels: one lane of each row of a panel. Exact; q8 gives w · scale, which f32 holds.
#pragma once
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/pack.h"
#include "kernels/cpu/simd/vec.h"

namespace triga {
namespace {

// One lane of a q8 panel.
inline void embedding_q8(const char* panel, int64_t lane, int64_t k, float* y) {
  for (int64_t at = 0; at < k; at += kGroup, panel += panel_bytes(WeightType::kQ8, kGroup)) {
    alignas(32) uint16_t half[16] = {};
    __builtin_memcpy(half, panel + kGroup * kPanel + lane * 2, 2);
    alignas(64) float scales[16];
    load_f16(half).store(scales);
    const int64_t n = least(kGroup, k - at);
    for (int64_t i = 0; i < n; ++i) {
      const char* quad = panel + i / 4 * 64;
      prefetch(quad + panel_bytes(WeightType::kQ8, kGroup));
      const int32_t u = static_cast<uint8_t>(quad[lane * 4 + i % 4]);
      y[at + i] = static_cast<float>(u - 128) * scales[0];
    }
  }
}

inline int64_t embedding_tiles(const EmbeddingArgs& a) { return a.rows; }

inline void embedding_run(const EmbeddingArgs& a, int64_t begin, int64_t end, void*) {
  for (int64_t r = begin; r < end; ++r) {
    const int64_t id = a.ids[r], lane = id % kPanel;
    const char* panel = static_cast<const char*>(a.panels) + id / kPanel * panel_bytes(a.type, a.k);
    float* y = a.y + r * a.k;
    if (a.type == WeightType::kQ8) {
      embedding_q8(panel, lane, a.k, y);
      continue;
    }
    // 16 of k at a time: lines ahead are asked for, since a lane is one element of each.
    for (int64_t k = 0; k < a.k; k += 16) {
      const int64_t n = least(16, a.k - k);
      alignas(64) uint16_t h[16] = {};
      if (a.type == WeightType::kF32) {
        const float* p = reinterpret_cast<const float*>(panel) + k * kPanel + lane;
        for (int64_t i = 0; i < n; ++i) {
          prefetch(p + (i + 16) * kPanel);
          y[k + i] = p[i * kPanel];
        }
      } else if (a.type == WeightType::kF16) {
        const uint16_t* p = reinterpret_cast<const uint16_t*>(panel) + k * kPanel + lane;
        for (int64_t i = 0; i < n; ++i) {
          prefetch(p + (i + 32) * kPanel);
          h[i] = p[i * kPanel];
        }
        store_upto(load_f16(h), y + k, n);
      } else {
        const uint16_t* p = reinterpret_cast<const uint16_t*>(panel) + k * kPanel + 2 * lane;
        for (int64_t i = 0; i < n; ++i) {
          prefetch(p + (i + 32) * kPanel);
          h[i] = p[i / 2 * 2 * kPanel + i % 2];
        }
        store_upto(load_bf16(h), y + k, n);
      }
    }
  }
}

}  // namespace
}  // namespace triga
