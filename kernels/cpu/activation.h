// Activations, gated or not, and their gradients, see kernel_training.h. Errors: those of math.h, and near a root of the derivative
// that of its terms.
#pragma once
#include "kernels/cpu/kernel_training.h"
#include "kernels/cpu/linear.h"
#include "kernels/cpu/optimizer.h"

namespace triga {
namespace {

// d/dx of x · sigmoid(u) is s + x · s · (1 − s) · u'.
TRIGA_INLINE F32x16 swish_slope(F32x16 x, F32x16 u, F32x16 du) {
  const F32x16 s = sigmoid(u);
  return fma(x * s * (F32x16::set(1.0f) - s), du, s);
}
// Φ(x) + x · φ(x).
TRIGA_INLINE F32x16 gelu_slope(F32x16 x) {
  const F32x16 half = F32x16::set(0.5f), t = x * F32x16::set(0.70710678f), a = abs(t);
  const F32x16 tail = half * erfc_tail(a);
  const F32x16 far = select(less(x, F32x16::zero()), tail, F32x16::set(1.0f) - tail);
  const F32x16 phi = select(less(a, F32x16::set(1.0f)), fma(erf_small(t), half, half), far);
  const F32x16 density = exp(F32x16::zero() - t * t) * F32x16::set(0.39894228f);
  return fma(x, density, phi);
}
TRIGA_INLINE F32x16 gelu_tanh_slope(F32x16 x) {
  const F32x16 scale = F32x16::set(1.59576912f), square = x * x;
  const F32x16 u = x * fma(square, F32x16::set(0.044715f), F32x16::set(1.0f)) * scale;
  const F32x16 du = fma(square, F32x16::set(0.134145f), F32x16::set(1.0f)) * scale;
  return swish_slope(x, u, du);
}

// Calls f with the derivative of an activation, as with_activation does with the function.
template <class F>
TRIGA_INLINE void with_slope(Activation activation, F f) {
  switch (activation) {
    case Activation::kNone:
      return f([](F32x16) { return F32x16::set(1.0f); });
    case Activation::kSilu:
      return f([](F32x16 v) { return swish_slope(v, v, F32x16::set(1.0f)); });
    case Activation::kGelu:
      return f([](F32x16 v) { return gelu_slope(v); });
    case Activation::kGeluTanh:
      return f([](F32x16 v) { return gelu_tanh_slope(v); });
    case Activation::kQuickGelu:
      return f([](F32x16 v) {
        const F32x16 c = F32x16::set(1.702f);
        return swish_slope(v, v * c, c);
      });
    case Activation::kRelu:
      return f([](F32x16 v) {
        return select(less(F32x16::zero(), v), F32x16::set(1.0f), F32x16::zero());
      });
    case Activation::kTanh:
      return f([](F32x16 v) {
        const F32x16 t = tanh(v);
        return F32x16::set(1.0f) - t * t;
      });
    case Activation::kSigmoid:
      return f([](F32x16 v) {
        const F32x16 s = sigmoid(v);
        return s * (F32x16::set(1.0f) - s);
      });
  }
}

inline void activation_run(const ActivationArgs& a, int64_t begin, int64_t end, void*) {
  with_activation(a.activation, [&](auto act) {
    over_chunks(begin, end, a.n, [&](int64_t i, int64_t n) {
      const F32x16 y = act(load_upto(a.x + i, n));
      store_upto(a.up ? y * load_upto(a.up + i, n) : y, a.y + i, n);
    });
  });
}

inline void activation_grad_run(const ActivationGradArgs& a, int64_t begin, int64_t end, void*) {
  with_slope(a.activation, [&](auto slope) {
    over_chunks(begin, end, a.n, [&](int64_t i, int64_t n) {
      F32x16 d = load_upto(a.dy + i, n) * slope(load_upto(a.x + i, n));
      if (a.up) d = d * load_upto(a.up + i, n);
      store_upto(d, a.dx + i, n);
    });
  });
  if (!a.up) return;
  with_activation(a.activation, [&](auto act) {
    over_chunks(begin, end, a.n, [&](int64_t i, int64_t n) {
      store_upto(load_upto(a.dy + i, n) * act(load_upto(a.x + i, n)), a.dup + i, n);
    });
  });
}

}  // namespace
}  // namespace triga
