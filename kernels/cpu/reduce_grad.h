// Gradients of sums and maxima over the middle axis of [outer, n, inner], see ReduceGradArgs in kernel_gradients.h. Exact for a sum; for a
// maximum one division by the number of those that share it. Lanes run along the axis where inner is 1, else they are neighbours
// of the inner axis; tails are masked.
#pragma once
#include "kernels/cpu/kernel_gradients.h"
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

constexpr int64_t kGradColumns = 64;  // of the inner axis, a tile

TRIGA_INLINE int64_t grad_rows_per_tile(const ReduceGradArgs& a) {
  return outer_per_tile(a.n, least(a.inner, kGradColumns));
}
inline int64_t reduce_grad_tiles(const ReduceGradArgs& a) {
  return a.n == 0 ? 0 : ceil_div(a.outer, grad_rows_per_tile(a)) * ceil_div(a.inner, kGradColumns);
}

// Columns [from, to) of one index of outer.
inline void reduce_grad_columns(const ReduceGradArgs& a, int64_t o, int64_t from, int64_t to) {
  const F32x16 one = F32x16::set(1.0f), zero = F32x16::zero();
  float* dx = a.dx + o * a.n * a.inner;
  for (int64_t c = from; c < to; c += 16) {
    const int64_t lanes = a.inner - c;
    F32x16 share = load_upto(a.dy + o * a.inner + c, lanes);
    if (a.op == ReduceOp::kSum) {
      for (int64_t j = 0; j < a.n; ++j) store_upto(share, dx + j * a.inner + c, lanes);
      continue;
    }
    const float* x = a.x + o * a.n * a.inner + c;
    const F32x16 greatest = load_upto(a.y + o * a.inner + c, lanes);
    F32x16 count = zero;
    for (int64_t j = 0; j < a.n; ++j)
      count = count + select(equal(load_upto(x + j * a.inner, lanes), greatest), one, zero);
    share = share / count;
    for (int64_t j = 0; j < a.n; ++j) {
      const F32x16 hit = select(equal(load_upto(x + j * a.inner, lanes), greatest), share, zero);
      store_upto(hit, dx + j * a.inner + c, lanes);
    }
  }
}
inline void reduce_grad_run(const ReduceGradArgs& a, int64_t begin, int64_t end, void*) {
  const int64_t per = grad_rows_per_tile(a), wide = ceil_div(a.inner, kGradColumns);
  for (int64_t tile = begin; tile < end; ++tile) {
    const int64_t first = tile / wide * per, column = tile % wide * kGradColumns;
    for (int64_t o = first; o < least(first + per, a.outer); ++o) {
      if (a.inner > 1) {
        reduce_grad_columns(a, o, column, least(column + kGradColumns, a.inner));
      } else if (a.op == ReduceOp::kMax) {
        max_grad_row(a.x + o * a.n, a.y[o], a.dy[o], a.dx + o * a.n, a.n);
      } else {
        const F32x16 dy = F32x16::set(a.dy[o]);
        for (int64_t i = 0; i < a.n; i += 16) store_upto(dy, a.dx + o * a.n + i, a.n - i);
      }
    }
  }
}

}  // namespace
}  // namespace triga
