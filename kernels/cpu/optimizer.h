// One step of an optimizer over a parameter, in place, and what such steps need: see kernel_training.h. Elementwise, in f32, in the
// order of PyTorch's optimizers; bias corrections and 1 − rate · decay are made in f64 and rounded once, as Python makes them.
// Sources: Loshchilov & Hutter 2019, https://arxiv.org/abs/1711.05101; Sutskever et al. 2013 (momentum as torch.optim.SGD has it).
#pragma once
#include "kernels/cpu/elementwise.h"
#include "kernels/cpu/kernel_training.h"
#include "kernels/cpu/reduce.h"

namespace triga {
namespace {

template <class Args>
int64_t update_tiles(const Args& a) {
  return chunks_of(a.n);
}

// Calls f(i, n) for vectors of the chunks [begin, end): n of 16 numbers from i on.
template <class F>
TRIGA_INLINE void over_chunks(int64_t begin, int64_t end, int64_t count, F f) {
  const int64_t to = least(end * kChunk, count);
  for (int64_t i = begin * kChunk; i < to; i += 16) f(i, to - i);
}

inline void adamw_run(const AdamwArgs& a, int64_t begin, int64_t end, void*) {
  const AdamwHyper h = *a.hyper;
  const auto set = [](double x) { return F32x16::set(static_cast<float>(x)); };
  const double rate = static_cast<double>(h.rate);
  const F32x16 keep = set(1.0 - rate * static_cast<double>(h.decay));
  const F32x16 beta1 = F32x16::set(h.beta1), beta2 = F32x16::set(h.beta2);
  const F32x16 rest1 = set(1.0 - static_cast<double>(h.beta1));
  const F32x16 rest2 = set(1.0 - static_cast<double>(h.beta2));
  const F32x16 root = set(__builtin_sqrt(static_cast<double>(h.correction2)));
  const F32x16 step = set(rate / static_cast<double>(h.correction1));
  const F32x16 eps = F32x16::set(h.eps), factor = F32x16::set(h.factor);
  over_chunks(begin, end, a.n, [&](int64_t i, int64_t n) {
    const F32x16 g = load_upto(a.grad + i, n) * factor;
    const F32x16 m = beta1 * load_upto(a.m + i, n) + rest1 * g;
    const F32x16 v = beta2 * load_upto(a.v + i, n) + rest2 * g * g;
    const F32x16 p = load_upto(a.param + i, n) * keep;
    store_upto(p - step * (m / (sqrt(v) / root + eps)), a.param + i, n);
    store_upto(m, a.m + i, n);
    store_upto(v, a.v + i, n);
  });
}

inline void sgd_run(const SgdArgs& a, int64_t begin, int64_t end, void*) {
  const SgdHyper h = *a.hyper;
  const F32x16 rate = F32x16::set(h.rate), decay = F32x16::set(h.decay);
  const F32x16 momentum = F32x16::set(h.momentum), factor = F32x16::set(h.factor);
  over_chunks(begin, end, a.n, [&](int64_t i, int64_t n) {
    const F32x16 p = load_upto(a.param + i, n);
    const F32x16 g = load_upto(a.grad + i, n) * factor + decay * p;
    const F32x16 m = momentum * load_upto(a.momentum + i, n) + g;
    store_upto(p - rate * (a.nesterov ? g + momentum * m : m), a.param + i, n);
    store_upto(m, a.momentum + i, n);
  });
}

inline void ema_run(const EmaArgs& a, int64_t begin, int64_t end, void*) {
  const F32x16 decay = F32x16::set(*a.decay), rest = F32x16::set(1.0f - *a.decay);
  over_chunks(begin, end, a.n, [&](int64_t i, int64_t n) {
    const F32x16 v = decay * load_upto(a.average + i, n) + rest * load_upto(a.param + i, n);
    store_upto(v, a.average + i, n);
  });
}

inline void fill_run(const FillArgs& a, int64_t begin, int64_t end, void*) {
  const F32x16 v = F32x16::set(a.value);
  over_chunks(begin, end, a.n, [&](int64_t i, int64_t n) { store_upto(v, a.x + i, n); });
}

inline int64_t sum_squares_tiles(const SumSquaresArgs&) { return kParts; }
// A part is summed in pieces of kPiece, which are added in order.
inline void sum_squares_run(const SumSquaresArgs& a, int64_t begin, int64_t end, void*) {
  for (int64_t part = begin; part < end; ++part) {
    const int64_t to = (part + 1) * a.n / kParts;
    float total = 0;
    for (int64_t i = part * a.n / kParts; i < to; i += kPiece)
      total += sum_squares(a.x + i, least(kPiece, to - i));
    a.parts[part] = total;
  }
}

constexpr int64_t kPartColumns = 64;
inline int64_t sum_parts_tiles(const SumPartsArgs& a) { return ceil_div(a.cols, kPartColumns); }
inline void sum_parts_run(const SumPartsArgs& a, int64_t begin, int64_t end, void*) {
  for (int64_t c = begin * kPartColumns; c < least(end * kPartColumns, a.cols); c += 16) {
    F32x16 v[kParts];
    for (int64_t i = 0; i < kParts; ++i) v[i] = load_upto(a.parts + i * a.cols + c, a.cols - c);
    for (int64_t w = kParts / 2; w > 0; w /= 2) {
      for (int64_t i = 0; i < w; ++i) v[i] = v[i] + v[i + w];
    }
    store_upto(v[0], a.y + c, a.cols - c);
  }
}

}  // namespace
}  // namespace triga
