// Gradients of pool2d and group_norm, see Pool2dGradArgs and GroupNormGradArgs in kernel_gradients.h. Errors: of a pool's sums, as many
// roundings as windows overlap; of group_norm about (1024 / 16 + pixels / 1024 + channels) · 2^−24, that of its sums.
#pragma once
#include "kernels/cpu/kernel_gradients.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/picture.h"
#include "kernels/cpu/reduce.h"
#include "kernels/cpu/simd/vec.h"

namespace triga {
namespace {

// What lies under a window: rows [top, bottom), columns [left, right).
struct Seen {
  int64_t top, bottom, left, right;
};
TRIGA_INLINE Seen seen_by(const Window& w, int64_t row, int64_t column) {
  const int64_t y = row * w.stride_h - w.pad_h, x = column * w.stride_w - w.pad_w;
  return {most(y, 0), least(y + w.kernel_h, w.height), most(x, 0), least(x + w.kernel_w, w.width)};
}

inline void max_grad_window(const Window& w, const Seen& s, const float* x, float y, float dy,
                            float* dx) {
  for (int64_t i = s.top; i < s.bottom; ++i) {
    for (int64_t j = s.left; j < s.right; ++j) {
      const float v = x[i * w.width + j];
      if (v == y || (v != v && y != y)) {
        dx[i * w.width + j] += dy;
        return;
      }
    }
  }
}

inline int64_t pool2d_grad_tiles(const Pool2dGradArgs& a) { return a.planes; }
inline void pool2d_grad_run(const Pool2dGradArgs& a, int64_t begin, int64_t end, void*) {
  const Window& w = a.window;
  const int64_t size = w.height * w.width, places = w.out_height * w.out_width;
  const float count = static_cast<float>(w.kernel_h * w.kernel_w);
  for (int64_t plane = begin; plane < end; ++plane) {
    float* dx = a.dx + plane * size;
    __builtin_memset(dx, 0, static_cast<size_t>(size) * sizeof(float));
    for (int64_t i = 0; i < places; ++i) {
      const Seen s = seen_by(w, i / w.out_width, i % w.out_width);
      const float dy = a.dy[plane * places + i];
      if (a.op == PoolOp::kMax) {
        max_grad_window(w, s, a.x + plane * size, a.y[plane * places + i], dy, dx);
        continue;
      }
      const float share = dy / count;
      for (int64_t y = s.top; y < s.bottom; ++y) {
        for (int64_t x = s.left; x < s.right; ++x) dx[y * w.width + x] += share;
      }
    }
  }
}

struct NormGradSums {
  float dy, dy_normed;
};
// Σ dy and Σ dy · (x − mean) · scale.
inline NormGradSums norm_grad_sums(const float* x, const float* dy, int64_t n, F32x16 mean,
                                   F32x16 scale) {
  NormGradSums total{0, 0};
  for (int64_t from = 0; from < n; from += kPiece) {
    F32x16 plain = F32x16::zero(), normed = F32x16::zero();
    for (int64_t i = from; i < least(from + kPiece, n); i += 16) {
      const F32x16 g = load_upto(dy + i, n - i);  // 0 past the end
      plain = plain + g;
      normed = fma(g, (load_upto(x + i, n - i) - mean) * scale, normed);
    }
    total.dy += sum(plain);
    total.dy_normed += sum(normed);
  }
  return total;
}

inline int64_t group_norm_grad_tiles(const GroupNormGradArgs& a) { return a.images * a.groups; }
inline void group_norm_grad_run(const GroupNormGradArgs& a, int64_t begin, int64_t end, void*) {
  const int64_t size = a.channels * a.pixels;
  for (int64_t g = begin; g < end; ++g) {
    const float* x = a.x + g * size;
    const float* dy = a.dy + g * size;
    const GroupMoments m = group_moments(x, a.channels, a.pixels, a.eps);
    const F32x16 mean = F32x16::set(m.mean), scale = F32x16::set(m.scale);
    NormGradSums means{0, 0};
    for (int64_t c = 0; c < a.channels; ++c) {
      const NormGradSums s =
          norm_grad_sums(x + c * a.pixels, dy + c * a.pixels, a.pixels, mean, scale);
      const float weight = a.weight[g % a.groups * a.channels + c];
      a.dbias[g * a.channels + c] = s.dy;
      a.dweight[g * a.channels + c] = s.dy_normed;
      means.dy += weight * s.dy;
      means.dy_normed += weight * s.dy_normed;
    }
    const F32x16 mean_dy = F32x16::set(means.dy / static_cast<float>(size));
    const F32x16 mean_normed = F32x16::set(means.dy_normed / static_cast<float>(size));
    for (int64_t c = 0; c < a.channels; ++c) {
      const F32x16 weight = F32x16::set(a.weight[g % a.groups * a.channels + c]);
      for (int64_t i = c * a.pixels, n; i < (c + 1) * a.pixels; i += 16) {
        n = (c + 1) * a.pixels - i;
        const F32x16 normed = (load_upto(x + i, n) - mean) * scale;
        const F32x16 d = weight * load_upto(dy + i, n) - mean_dy - normed * mean_normed;
        store_upto(scale * d, a.dx + g * size + i, n);
      }
    }
  }
}

}  // namespace
}  // namespace triga
