// Sums, maxima and softmax over the middle axis of [outer, n, inner], and the statistics of a row
// of logits. The order of every sum depends on n alone. inner 1: lanes run along the axis, in
// pieces of kPiece that are then added in order (an error of about (kPiece / 16 + n / kPiece) ·
// 2^−24); otherwise lanes are neighbours of the inner axis and each adds its own column in pieces
// of kColumnPiece. Tails are masked; NaN makes a sum or a maximum NaN.
#pragma once
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/norm.h"
#include "kernels/cpu/simd/vec.h"

namespace triga {
namespace {

constexpr int64_t kPiece = 1024;
constexpr int64_t kColumnPiece = 64;
constexpr int64_t kReduceChunk = 4096;  // elements of x that a tile should have, at least

inline float reduce_sum(const float* x, int64_t n) {
  float total = 0;
  for (int64_t i = 0; i < n; i += kPiece) {
    total += sum_over(x + i, least(kPiece, n - i), [](F32x16 v, F32x16 s) { return s + v; });
  }
  return total;
}
// The greatest element, NaN left out; −inf if there is none.
inline float greatest_of(const float* x, int64_t n) {
  const F32x16 lowest = F32x16::set(-HUGE_VALF);
  F32x16 m0 = lowest, m1 = lowest;
  int64_t i = 0;
  for (; i + 32 <= n; i += 32) {
    m0 = max(F32x16::load(x + i), m0);
    m1 = max(F32x16::load(x + i + 16), m1);
  }
  for (; i < n; i += 16) {
    m0 = max(select(first(least(16, n - i)), load_upto(x + i, n - i), lowest), m0);
  }
  return max_lane(max(m0, m1));
}
// The greatest element, or NaN if there is one.
inline float reduce_max(const float* x, int64_t n) {
  F32x16 m = F32x16::set(-HUGE_VALF);
  for (int64_t i = 0; i < n; i += 16) {
    const F32x16 v = select(first(least(16, n - i)), load_upto(x + i, n - i), m);
    m = max_nan(m, v);
  }
  alignas(64) float t[16];
  m.store(t);
  float r = t[0];
  for (int i = 1; i < 16; ++i) r = r != r || r > t[i] ? r : t[i];
  return r;
}

TRIGA_INLINE int64_t outer_per_tile(int64_t n, int64_t inner) {
  return most(1, kReduceChunk / most(1, n * inner));
}

constexpr int64_t kReduceColumns = 64;  // of the inner axis, a tile
constexpr int64_t kReduceAhead = 16;    // rows that are asked for ahead

// The columns [c, c + V · 16) of one outer index: each column's own chain, whatever V.
template <int V>
void reduce_columns(const float* x, float* y, int64_t n, int64_t inner, int64_t lanes,
                    bool is_sum) {
  F32x16 total[V];
  for (int v = 0; v < V; ++v) total[v] = F32x16::set(is_sum ? 0 : -HUGE_VALF);
  for (int64_t i = 0; i < n; i += kColumnPiece) {
    F32x16 piece[V];
    for (int v = 0; v < V; ++v) piece[v] = is_sum ? F32x16::zero() : total[v];
    for (int64_t j = i; j < least(i + kColumnPiece, n); ++j) {
      const float* row = x + j * inner;
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        prefetch(row + kReduceAhead * inner + v * 16);
        const F32x16 e = load_upto(row + v * 16, lanes - v * 16);
        piece[v] = is_sum ? piece[v] + e : max_nan(piece[v], e);
      }
    }
    for (int v = 0; v < V; ++v) total[v] = is_sum ? total[v] + piece[v] : piece[v];
  }
  for (int v = 0; v < V; ++v) store_upto(total[v], y + v * 16, lanes - v * 16);
}

TRIGA_INLINE int64_t reduce_outer_per_tile(const ReduceArgs& a) {
  return outer_per_tile(a.n, least(a.inner, kReduceColumns));
}
// (chunks of outer, columns).
inline int64_t reduce_tiles(const ReduceArgs& a) {
  return ceil_div(a.outer, reduce_outer_per_tile(a)) * ceil_div(a.inner, kReduceColumns);
}
inline void reduce_run(const ReduceArgs& a, int64_t begin, int64_t end, void*) {
  const bool is_sum = a.op == ReduceOp::kSum;
  const int64_t per = reduce_outer_per_tile(a);
  if (a.inner == 1) {
    for (int64_t o = begin * per; o < least(end * per, a.outer); ++o) {
      const float* x = a.x + o * a.n;
      a.y[o] = is_sum ? reduce_sum(x, a.n) : reduce_max(x, a.n);
    }
    return;
  }
  const int64_t blocks = ceil_div(a.inner, kReduceColumns);
  for (int64_t tile = begin; tile < end; ++tile) {
    const int64_t from = tile % blocks * kReduceColumns, to = least(from + kReduceColumns, a.inner);
    for (int64_t o = tile / blocks * per; o < least((tile / blocks + 1) * per, a.outer); ++o) {
      const float* x = a.x + o * a.n * a.inner;
      float* y = a.y + o * a.inner;
      int64_t c = from;
      if (to - c > 48) {
        reduce_columns<4>(x + c, y + c, a.n, a.inner, a.inner - c, is_sum);
        c = to;
      }
      for (; c < to; c += 16) reduce_columns<1>(x + c, y + c, a.n, a.inner, a.inner - c, is_sum);
    }
  }
}

inline int64_t softmax_tiles(const SoftmaxArgs& a) {
  return a.n * a.inner == 0 ? 0 : ceil_div(a.outer, outer_per_tile(a.n, a.inner));
}

// exp(x − max) / Σ, or x − max − log Σ. y may be x.
inline void softmax_row(const float* x, float* y, int64_t n, bool log) {
  const float greatest = greatest_of(x, n);
  const F32x16 shift = F32x16::set(greatest);
  if (log) {
    float total = 0;
    for (int64_t i = 0; i < n; i += kPiece) {
      total += sum_over(x + i, least(kPiece, n - i),
                        [=](F32x16 v, F32x16 s) { return s + exp(v - shift); });
    }
    const F32x16 log_sum = F32x16::set(::logf(total));
    for (int64_t i = 0; i < n; i += 16) {
      store_upto((load_upto(x + i, n - i) - shift) - log_sum, y + i, n - i);
    }
    return;
  }
  for (int64_t i = 0; i < n; i += 16) {
    store_upto(exp(load_upto(x + i, n - i) - shift), y + i, n - i);
  }
  const F32x16 total = F32x16::set(reduce_sum(y, n));
  for (int64_t i = 0; i < n; i += 16) store_upto(load_upto(y + i, n - i) / total, y + i, n - i);
}

// 16 neighbours of the inner axis at once.
inline void softmax_columns(const float* x, float* y, int64_t n, int64_t inner, int64_t lanes,
                            bool log) {
  F32x16 greatest = F32x16::set(-HUGE_VALF), total = F32x16::zero();
  for (int64_t j = 0; j < n; ++j) greatest = max(load_upto(x + j * inner, lanes), greatest);
  for (int64_t i = 0; i < n; i += kColumnPiece) {
    F32x16 piece = F32x16::zero();
    for (int64_t j = i; j < least(i + kColumnPiece, n); ++j) {
      const F32x16 shifted = load_upto(x + j * inner, lanes) - greatest, e = exp(shifted);
      piece = piece + e;
      store_upto(log ? shifted : e, y + j * inner, lanes);
    }
    total = total + piece;
  }
  if (log) {
    alignas(64) float t[16];
    total.store(t);
    for (float& v : t) v = ::logf(v);
    total = F32x16::load(t);
  }
  for (int64_t j = 0; j < n; ++j) {
    const F32x16 v = load_upto(y + j * inner, lanes);
    store_upto(log ? v - total : v / total, y + j * inner, lanes);
  }
}

inline void softmax_run(const SoftmaxArgs& a, int64_t begin, int64_t end, void*) {
  const int64_t per = outer_per_tile(a.n, a.inner);
  for (int64_t o = begin * per; o < least(end * per, a.outer); ++o) {
    const int64_t base = o * a.n * a.inner;
    if (a.inner == 1) {
      softmax_row(a.x + base, a.y + base, a.n, a.log != 0);
      continue;
    }
    for (int64_t c = 0; c < a.inner; c += 16) {
      softmax_columns(a.x + base + c, a.y + base + c, a.n, a.inner, a.inner - c, a.log != 0);
    }
  }
}

// One pass over memory: a piece's maximum, then its exponentials while it is in L1, merged in
// order. All NaN (or n 0): element 0 and its value (n 0: −inf); a NaN makes sum_exp NaN; so does a
// maximum of +inf.
inline RowStats row_stats(const float* x, int64_t n) {
  RowStats s{0, -HUGE_VALF, 0};
  bool found = false;
  for (int64_t i = 0; i < n; i += kPiece) {
    const int64_t count = least(kPiece, n - i);
    const float greatest = greatest_of(x + i, count);
    if (greatest > s.max || !found) {
      for (int64_t j = 0; j < count; ++j) {
        if (x[i + j] != greatest) continue;
        s.argmax = i + j;
        found = true;
        break;
      }
    }
    const float shift = greatest == -HUGE_VALF ? 0.0f : greatest;
    const F32x16 shifts = F32x16::set(shift);
    const float part =
        sum_over(x + i, count, [=](F32x16 v, F32x16 t) { return t + exp(v - shifts); });
    alignas(64) float factor[16];
    if (greatest > s.max) {
      exp(F32x16::set(s.max - greatest)).store(factor);
      s.sum_exp = s.sum_exp * factor[0] + part;
      s.max = greatest;
    } else {
      exp(F32x16::set(greatest == s.max ? 0.0f : greatest - s.max)).store(factor);
      s.sum_exp = part * factor[0] + s.sum_exp;
    }
  }
  if (!found && n > 0) s.max = x[0];
  return s;
}

}  // namespace
}  // namespace triga
