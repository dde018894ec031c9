// Elementary functions of F32x16. The polynomials were fitted by Remez exchange for this file; each
// comment has the error.
#pragma once
#include "kernels/cpu/simd/vec.h"

namespace triga {
namespace {

// exp(x) = 2^n · exp(r), |r| <= ln 2 / 2, exp(r) = 1 + r + r² p(r). Within 2 ulp, results below
// 2^−126 too; 0 and +inf past the ends, NaN stays NaN. The reduction subtracts ln 2 in two parts,
// the first short enough for n times it to be exact.
TRIGA_INLINE F32x16 exp(F32x16 x) {
  x = min(F32x16::set(89.0f), max(F32x16::set(-104.0f), x));
  const F32x16 n = round_small(x * F32x16::set(1.44269504f));
  F32x16 r = fma(n, F32x16::set(-0.693359375f), x);
  r = fma(n, F32x16::set(2.12194440e-4f), r);
  F32x16 p = F32x16::set(1.395172e-3f);
  p = fma(p, r, F32x16::set(8.3695982e-3f));
  p = fma(p, r, F32x16::set(4.16661872e-2f));
  p = fma(p, r, F32x16::set(1.66665129e-1f));
  p = fma(p, r, F32x16::set(0.50000001f));
  return scale2(fma(p, r * r, r) + F32x16::set(1.0f), n);
}

// 1 / (1 + exp(−x)); relative error about 3 ulp, also where it nears 0; 0 below −88.7 (it is 3e-39
// there).
TRIGA_INLINE F32x16 sigmoid(F32x16 x) {
  const F32x16 one = F32x16::set(1.0f);
  return one / (one + exp(F32x16::zero() - x));
}

// x + x³ p(x²) below 0.625, else 1 − 2 / (exp(2|x|) + 1). Within 3 ulp.
TRIGA_INLINE F32x16 tanh(F32x16 x) {
  const F32x16 one = F32x16::set(1.0f), a = abs(x), z = x * x;
  F32x16 p = F32x16::set(-6.11319292e-3f);
  p = fma(p, z, F32x16::set(2.10100826e-2f));
  p = fma(p, z, F32x16::set(-5.38540701e-2f));
  p = fma(p, z, F32x16::set(1.33327945e-1f));
  p = fma(p, z, F32x16::set(-3.33333292e-1f));
  const F32x16 small = fma(p * z, x, x);
  const F32x16 large = one - F32x16::set(2.0f) / (exp(a + a) + one);
  return select(less(a, F32x16::set(0.625f)), small, with_sign(large, sign_of(x)));
}

// erf(t) = t p(t²) for |t| < 1.
TRIGA_INLINE F32x16 erf_small(F32x16 t) {
  const F32x16 z = t * t;
  F32x16 p = F32x16::set(7.82397666e-5f);
  p = fma(p, z, F32x16::set(-8.00279381e-4f));
  p = fma(p, z, F32x16::set(5.18767675e-3f));
  p = fma(p, z, F32x16::set(-2.68535718e-2f));
  p = fma(p, z, F32x16::set(1.12835819e-1f));
  p = fma(p, z, F32x16::set(-3.76126258e-1f));
  p = fma(p, z, F32x16::set(1.12837917f));
  return p * t;
}

// erfc(t) = exp(−q(t)) for t >= 1, q fitted on [1, 6] within 1.2e-7; 0 beyond, where it is below
// 3e-17. NaN stays NaN.
TRIGA_INLINE F32x16 erfc_tail(F32x16 t) {
  const F32x16 six = F32x16::set(6.0f), u = min(six, t);
  F32x16 q = F32x16::set(8.29532594e-8f);
  q = fma(q, u, F32x16::set(-3.32500267e-6f));
  q = fma(q, u, F32x16::set(6.04247477e-5f));
  q = fma(q, u, F32x16::set(-6.62446732e-4f));
  q = fma(q, u, F32x16::set(4.92916266e-3f));
  q = fma(q, u, F32x16::set(-2.66482801e-2f));
  q = fma(q, u, F32x16::set(1.10151579e-1f));
  q = fma(q, u, F32x16::set(6.32026309e-1f));
  q = fma(q, u, F32x16::set(1.12998138f));
  q = fma(q, u, F32x16::set(-2.29259489e-4f));
  return select(less(six, t), F32x16::zero(), exp(F32x16::zero() - q));
}

// Absolute error below 1.2e-7.
TRIGA_INLINE F32x16 erf(F32x16 x) {
  const F32x16 one = F32x16::set(1.0f), a = abs(x);
  const F32x16 large = with_sign(one - erfc_tail(a), sign_of(x));
  return select(less(a, one), erf_small(x), large);
}

// x · Φ(x). Φ of negative x comes from erfc itself, so that nothing cancels in the left tail.
TRIGA_INLINE F32x16 gelu(F32x16 x) {
  const F32x16 one = F32x16::set(1.0f), half = F32x16::set(0.5f);
  const F32x16 t = x * F32x16::set(0.70710678f), a = abs(t);
  const F32x16 tail = half * erfc_tail(a);
  const F32x16 far = select(less(x, F32x16::zero()), tail, one - tail);
  return x * select(less(a, one), fma(erf_small(t), half, half), far);
}

// x / 2 · (1 + tanh(√(2/π) (x + 0.044715 x³))) = x · sigmoid(2 √(2/π) (…)): the second form loses
// nothing in the left tail.
TRIGA_INLINE F32x16 gelu_tanh(F32x16 x) {
  const F32x16 inner = fma(x * x * x, F32x16::set(0.044715f), x);
  return x * sigmoid(inner * F32x16::set(1.59576912f));
}

// NaN stays NaN.
TRIGA_INLINE F32x16 relu(F32x16 x) { return max(F32x16::zero(), x); }

// The maximum and the minimum as Math.max and Math.min have them: NaN if either is (but ±0 count as
// equal).
TRIGA_INLINE F32x16 max_nan(F32x16 a, F32x16 b) { return select(is_nan(a), a, max(a, b)); }
TRIGA_INLINE F32x16 min_nan(F32x16 a, F32x16 b) { return select(is_nan(a), a, min(a, b)); }

TRIGA_INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
TRIGA_INLINE int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
TRIGA_INLINE int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Loads of whole vectors inside a row, of what is left at its end.
TRIGA_INLINE F32x16 load_upto(const float* p, int64_t n) {
  return n >= 16 ? F32x16::load(p) : F32x16::load(p, n);
}
TRIGA_INLINE void store_upto(F32x16 v, float* p, int64_t n) {
  if (n >= 16) {
    v.store(p);
  } else {
    v.store(p, n);
  }
}

}  // namespace
}  // namespace triga
