// Cross-entropy of rows of logits and its gradient, see kernel_training.h. The sum of exponentials has the order of row_stats; the
// gradient's softmax divides by it.
#pragma once
#include "kernels/cpu/kernel_training.h"
#include "kernels/cpu/reduce.h"

namespace triga {
namespace {

inline float loss_of_row(const CrossEntropyArgs& a, const float* x, int32_t label,
                         const RowStats& s) {
  // Distances from the greatest are summed up, which are as small as the loss.
  float loss = ::logf(s.sum_exp) + (1.0f - a.smoothing) * (s.max - x[label]);
  if (a.smoothing != 0) {
    const float mean = reduce_sum(x, a.cols) / static_cast<float>(a.cols);
    loss += a.smoothing * (s.max - mean);
  }
  return loss;
}

inline int64_t cross_entropy_tiles(const CrossEntropyArgs& a) { return a.rows; }
inline void cross_entropy_run(const CrossEntropyArgs& a, int64_t begin, int64_t end, void*) {
  for (int64_t r = begin; r < end; ++r) {
    const int32_t label = a.labels[r];
    const float* x = a.logits + r * a.cols;
    a.loss[r] = label == kIgnored ? 0 : loss_of_row(a, x, label, row_stats(x, a.cols));
  }
}

inline int64_t cross_entropy_grad_tiles(const CrossEntropyGradArgs& a) { return a.forward.rows; }
inline void cross_entropy_grad_run(const CrossEntropyGradArgs& g, int64_t begin, int64_t end,
                                   void*) {
  const CrossEntropyArgs& a = g.forward;
  const F32x16 rest = F32x16::set(a.smoothing / static_cast<float>(a.cols));
  for (int64_t r = begin; r < end; ++r) {
    const int32_t label = a.labels[r];
    const float* x = a.logits + r * a.cols;
    float* dx = g.dlogits + r * a.cols;
    if (label == kIgnored) {
      if (a.loss) a.loss[r] = 0;
      for (int64_t i = 0; i < a.cols; i += 16) store_upto(F32x16::zero(), dx + i, a.cols - i);
      continue;
    }
    const RowStats s = row_stats(x, a.cols);
    if (a.loss) a.loss[r] = loss_of_row(a, x, label, s);
    const F32x16 shift = F32x16::set(s.max), d = F32x16::set(g.dloss[r]);
    const F32x16 inverse = F32x16::set(1.0f / s.sum_exp);
    for (int64_t i = 0; i < a.cols; i += 16) {
      const F32x16 p = exp(load_upto(x + i, a.cols - i) - shift) * inverse;
      store_upto((p - rest) * d, dx + i, a.cols - i);
    }
    dx[label] -= (1.0f - a.smoothing) * g.dloss[r];
  }
}

}  // namespace
}  // namespace triga
