// Gradients of norms, see NormGradArgs in kernel_training.h. A row's sums have the order of norm.h. A part's sums over rows ascend;
// the parts are added by sum_parts.
#pragma once
#include "kernels/cpu/kernel_training.h"
#include "kernels/cpu/norm.h"

namespace triga {
namespace {

inline int64_t norm_grad_tiles(const NormGradArgs&) { return kParts; }

template <bool kLayer>
void norm_grad_row(const NormGradArgs& a, int64_t r, float* weight_part, float* bias_part) {
  const float* x = a.x + r * a.cols;
  const float* dy = a.dy + r * a.cols;
  float* dx = a.dx + r * a.cols;
  const float inverse = 1.0f / static_cast<float>(a.cols);
  F32x16 mean = F32x16::zero();
  if (kLayer)
    mean = F32x16::set(sum_over(x, a.cols, [](F32x16 v, F32x16 s) { return s + v; }) * inverse);
  const float squares = sum_over(x, a.cols, [=](F32x16 v, F32x16 s) {
    const F32x16 d = v - mean;
    return fma(d, d, s);
  });
  const F32x16 scale = F32x16::set(rms_scale(squares, a.cols, a.eps));
  F32x16 along = F32x16::zero(), total = F32x16::zero();
  for (int64_t i = 0; i < a.cols; i += 16) {
    const int64_t n = a.cols - i;
    const F32x16 d = load_upto(dy + i, n), h = (load_upto(x + i, n) - mean) * scale;
    // Past the end d is 0, and so are its products.
    const F32x16 g = d * load_upto(a.weight + i, n);
    along = fma(g, h, along);
    total = total + g;
    store_upto(fma(d, h, load_upto(weight_part + i, n)), weight_part + i, n);
    if (kLayer) store_upto(load_upto(bias_part + i, n) + d, bias_part + i, n);
  }
  const F32x16 m = F32x16::set(sum(along) * inverse);
  const F32x16 t = kLayer ? F32x16::set(sum(total) * inverse) : F32x16::zero();
  for (int64_t i = 0; i < a.cols; i += 16) {
    const int64_t n = a.cols - i;
    const F32x16 h = (load_upto(x + i, n) - mean) * scale;
    const F32x16 g = load_upto(dy + i, n) * load_upto(a.weight + i, n);
    store_upto(scale * (g - t - h * m), dx + i, n);
  }
}

template <bool kLayer>
void norm_grad_run(const NormGradArgs& a, int64_t begin, int64_t end, void*) {
  for (int64_t part = begin; part < end; ++part) {
    float* weight_part = a.weight_parts + part * a.cols;
    float* bias_part = kLayer ? a.bias_parts + part * a.cols : nullptr;
    for (int64_t i = 0; i < a.cols; i += 16) {
      store_upto(F32x16::zero(), weight_part + i, a.cols - i);
      if (kLayer) store_upto(F32x16::zero(), bias_part + i, a.cols - i);
    }
    for (int64_t r = part * a.rows / kParts; r < (part + 1) * a.rows / kParts; ++r)
      norm_grad_row<kLayer>(a, r, weight_part, bias_part);
  }
}

}  // namespace
}  // namespace triga
