// dx = dy · fn'(x), see UnaryGradArgs in kernel_gradients.h. Errors: those of exp and of the C library's sin and cos, and a rounding or two
// for each product. NaN in x gives NaN, but relu's slope there is 0.
#pragma once
#include "kernels/cpu/elementwise.h"
#include "kernels/cpu/kernel_gradients.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/simd/vec.h"

namespace triga {
namespace {

inline int64_t unary_grad_tiles(const UnaryGradArgs& a) { return chunks_of(a.n); }

inline void unary_grad_run(const UnaryGradArgs& a, int64_t begin, int64_t end, void*) {
  const int64_t from = begin * kChunk, n = least(end * kChunk, a.n) - from;
  const float* v = a.v + from;
  const float* dy = a.dy + from;
  float* dx = a.dx + from;
  const F32x16 one = F32x16::set(1.0f), zero = F32x16::zero();
  const auto with = [&](auto f) {
    for (int64_t i = 0; i < n; i += 16)
      store_upto(f(load_upto(v + i, n - i), load_upto(dy + i, n - i)), dx + i, n - i);
  };
  switch (a.of) {
    case Derivative::kAbs:
      return with([=](F32x16 x, F32x16 g) {
        const F32x16 slope = select(less(x, zero), zero - one, select(less(zero, x), one, zero));
        return g * select(is_nan(x), x, slope);
      });
    case Derivative::kExp:
      return with([](F32x16 y, F32x16 g) { return g * y; });
    case Derivative::kLog:
      return with([](F32x16 x, F32x16 g) { return g / x; });
    case Derivative::kSqrt:
      return with([](F32x16 y, F32x16 g) { return g * (F32x16::set(0.5f) / y); });
    case Derivative::kRsqrt:
      return with([](F32x16 y, F32x16 g) { return g * (F32x16::set(-0.5f) * y * y * y); });
    case Derivative::kTanh:
      return with([=](F32x16 y, F32x16 g) { return g * (one - y * y); });
    case Derivative::kErf:
      return with(
          [=](F32x16 x, F32x16 g) { return g * (F32x16::set(1.12837917f) * exp(zero - x * x)); });
    case Derivative::kSigmoid:
      return with([=](F32x16 y, F32x16 g) { return g * (y * (one - y)); });
    case Derivative::kSin:
      for (int64_t i = 0; i < n; ++i) dx[i] = dy[i] * ::cosf(v[i]);
      return;
    case Derivative::kCos:
      for (int64_t i = 0; i < n; ++i) dx[i] = -dy[i] * ::sinf(v[i]);
      return;
    case Derivative::kRelu:
      return with([=](F32x16 y, F32x16 g) { return select(less(zero, y), g, zero); });
  }
}

}  // namespace
}  // namespace triga
