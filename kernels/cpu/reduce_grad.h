// Gradients of sums and maxima over the middle axis of [outer, n, inner], see ReduceGradArgs in kernel.h. Exact for a sum; for a
// maximum one division by the number of those that share it. Lanes run along the axis where inner is 1, else they are neighbours
// of the inner axis; tails are masked.
#pragma once
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/reduce.h"
#include "kernels/cpu/simd/vec.h"

namespace triga {
namespace {

// Rows of one element of `y` and `dy` each.
inline void max_grad_row(const float* x, float y, float dy, float* dx, int64_t n) {
  const F32x16 greatest = F32x16::set(y), one = F32x16::set(1.0f), zero = F32x16::zero();
  F32x16 count = zero;
  for (int64_t i = 0; i < n; i += 16) {
    const F32x16 hit = select(equal(load_upto(x + i, n - i), greatest), one, zero);
    count = count + select(first(least(16, n - i)), hit, zero);
  }
  const F32x16 share = F32x16::set(dy / sum(count));
  for (int64_t i = 0; i < n; i += 16)
    store_upto(select(equal(load_upto(x + i, n - i), greatest), share, zero), dx + i, n - i);
}

inline int64_t reduce_grad_tiles(const ReduceGradArgs& a) {
  return a.n == 0 ? 0 : column_tiles(a.outer, a.n, a.inner);
}
inline void reduce_grad_run(const ReduceGradArgs& a, int64_t begin, int64_t end, void*) {
  const bool is_sum = a.op == ReduceOp::kSum;
  const F32x16 one = F32x16::set(1.0f), zero = F32x16::zero();
  each_column_tile(a.outer, a.n, a.inner, begin, end, [&](int64_t o, int64_t from, int64_t to) {
    const float* x = is_sum ? nullptr : a.x + o * a.n * a.inner;
    const float* dy = a.dy + o * a.inner;
    float* dx = a.dx + o * a.n * a.inner;
    if (a.inner == 1 && !is_sum) return max_grad_row(x, a.y[o], *dy, dx, a.n);
    if (a.inner == 1) {
      for (int64_t i = 0; i < a.n; i += 16) store_upto(F32x16::set(*dy), dx + i, a.n - i);
      return;
    }
    for (int64_t c = from; c < to; c += 16) {
      const int64_t lanes = a.inner - c;
      F32x16 share = load_upto(dy + c, lanes);
      if (is_sum) {
        for (int64_t j = 0; j < a.n; ++j) store_upto(share, dx + j * a.inner + c, lanes);
        continue;
      }
      const F32x16 greatest = load_upto(a.y + o * a.inner + c, lanes);
      F32x16 count = zero;
      for (int64_t j = 0; j < a.n; ++j)
        count = count + select(equal(load_upto(x + j * a.inner + c, lanes), greatest), one, zero);
      share = share / count;
      for (int64_t j = 0; j < a.n; ++j) {
        const F32x16 v = load_upto(x + j * a.inner + c, lanes);
        store_upto(select(equal(v, greatest), share, zero), dx + j * a.inner + c, lanes);
      }
    }
  });
}

}  // namespace
}  // namespace triga
