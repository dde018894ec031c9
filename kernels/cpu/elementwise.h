// y = op(x), y = op(a, b) with broadcasting, strided copies, and zeros around. A chunk is kChunk elements of y;
// tails are masked. Errors: exp, tanh, erf, sigmoid as in math.h; log, sin, cos, pow are the C
// library's, within 1 ulp; the rest is exact or correctly rounded (rsqrt: 1 / sqrt, both rounded).
// NaN stays NaN. The C functions are called as ::logf and the like: the overloads of namespace std
// are inline functions of the C++ library, hence weak symbols.
#pragma once
#include <cmath>

#include "kernels/cpu/kernel.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/simd/vec.h"

namespace triga {
namespace {

constexpr int64_t kChunk = 16384;

TRIGA_INLINE int64_t chunks_of(int64_t n) { return ceil_div(n, kChunk); }

template <class F>
TRIGA_INLINE void map_vectors(const float* x, float* y, int64_t n, F f) {
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) f(F32x16::load(x + i)).store(y + i);
  if (i < n) f(F32x16::load(x + i, n - i)).store(y + i, n - i);
}
template <class F>
TRIGA_INLINE void map_scalars(const float* x, float* y, int64_t n, F f) {
  for (int64_t i = 0; i < n; ++i) y[i] = f(x[i]);
}

inline int64_t unary_tiles(const UnaryArgs& a) { return chunks_of(a.n); }

inline void unary_run(const UnaryArgs& a, int64_t begin, int64_t end, void*) {
  const int64_t from = begin * kChunk, n = least(end * kChunk, a.n) - from;
  const float* x = a.x + from;
  float* y = a.y + from;
  switch (a.op) {
    case UnaryOp::kNeg:
      return map_vectors(x, y, n, [](F32x16 v) { return with_sign(v, F32x16::set(-0.0f)); });
    case UnaryOp::kAbs:
      return map_vectors(x, y, n, [](F32x16 v) { return abs(v); });
    case UnaryOp::kExp:
      return map_vectors(x, y, n, [](F32x16 v) { return exp(v); });
    case UnaryOp::kLog:
      return map_scalars(x, y, n, [](float v) { return ::logf(v); });
    case UnaryOp::kSqrt:
      return map_vectors(x, y, n, [](F32x16 v) { return sqrt(v); });
    case UnaryOp::kRsqrt:
      return map_vectors(x, y, n, [](F32x16 v) { return F32x16::set(1.0f) / sqrt(v); });
    case UnaryOp::kTanh:
      return map_vectors(x, y, n, [](F32x16 v) { return tanh(v); });
    case UnaryOp::kErf:
      return map_vectors(x, y, n, [](F32x16 v) { return erf(v); });
    case UnaryOp::kSigmoid:
      return map_vectors(x, y, n, [](F32x16 v) { return sigmoid(v); });
    case UnaryOp::kSin:
      return map_scalars(x, y, n, [](float v) { return ::sinf(v); });
    case UnaryOp::kCos:
      return map_scalars(x, y, n, [](float v) { return ::cosf(v); });
    case UnaryOp::kRelu:
      return map_vectors(x, y, n, [](F32x16 v) { return relu(v); });
  }
}

// A strided nest of loops with the innermost last, neighbours merged where both operands allow it.
struct Nest {
  int rank;
  int64_t dims[kMaxRank], s[2][kMaxRank];
};
inline int64_t count_of(int32_t rank, const int64_t* dims) {
  int64_t n = 1;
  for (int32_t i = 0; i < rank; ++i) n *= dims[i];
  return n;
}
inline Nest merge_nest(int32_t rank, const int64_t* dims, const int64_t* s0, const int64_t* s1) {
  Nest n{};
  for (int32_t i = 0; i < rank; ++i) {
    if (dims[i] == 1) continue;
    const int last = n.rank - 1;
    if (n.rank > 0 && n.s[0][last] == s0[i] * dims[i] && n.s[1][last] == s1[i] * dims[i]) {
      n.dims[last] *= dims[i];
      n.s[0][last] = s0[i];
      n.s[1][last] = s1[i];
    } else {
      n.dims[n.rank] = dims[i];
      n.s[0][n.rank] = s0[i];
      n.s[1][n.rank++] = s1[i];
    }
  }
  if (n.rank == 0) n = {1, {1}, {{0}, {0}}};
  return n;
}
// Calls f(element, offset 0, offset 1, run) for runs along the innermost axis that cover the
// elements [from, to).
template <class F>
TRIGA_INLINE void walk_nest(const Nest& n, int64_t from, int64_t to, F f) {
  const int inner = n.rank - 1;
  int64_t index[kMaxRank] = {}, offset[2] = {0, 0};
  for (int64_t i = inner, rest = from; i >= 0; --i) {
    index[i] = rest % n.dims[i];
    rest /= n.dims[i];
    offset[0] += index[i] * n.s[0][i];
    offset[1] += index[i] * n.s[1][i];
  }
  while (from < to) {
    const int64_t run = least(n.dims[inner] - index[inner], to - from);
    f(from, offset[0], offset[1], run);
    from += run;
    index[inner] += run;
    offset[0] += run * n.s[0][inner];
    offset[1] += run * n.s[1][inner];
    for (int i = inner; i > 0 && index[i] == n.dims[i]; --i) {
      for (int o = 0; o < 2; ++o) offset[o] += n.s[o][i - 1] - n.dims[i] * n.s[o][i];
      index[i] = 0;
      ++index[i - 1];
    }
  }
}

inline int64_t binary_tiles(const BinaryArgs& a) { return chunks_of(count_of(a.rank, a.dims)); }

// Operands that are neither contiguous nor one value are gathered, 16 at a time.
TRIGA_INLINE F32x16 load_strided(const float* p, int64_t stride, int64_t n) {
  if (stride == 1) return load_upto(p, n);
  if (stride == 0) return F32x16::set(*p);
  alignas(64) float t[16] = {};
  for (int64_t i = 0; i < least(n, 16); ++i) t[i] = p[i * stride];
  return F32x16::load(t);
}
template <class F>
TRIGA_INLINE void binary_vectors(const BinaryArgs& a, const Nest& nest, int64_t from, int64_t to,
                                 F f) {
  const int64_t sa = nest.s[0][nest.rank - 1], sb = nest.s[1][nest.rank - 1];
  walk_nest(nest, from, to, [&](int64_t at, int64_t oa, int64_t ob, int64_t run) {
    const float* p = a.a + oa;
    const float* q = a.b + ob;
    float* y = a.y + at;
    for (int64_t i = 0; i < run; i += 16) {
      const int64_t n = run - i;
      store_upto(f(load_strided(p + i * sa, sa, n), load_strided(q + i * sb, sb, n)), y + i, n);
    }
  });
}

inline void binary_run(const BinaryArgs& a, int64_t begin, int64_t end, void*) {
  const Nest nest = merge_nest(a.rank, a.dims, a.a_strides, a.b_strides);
  const int64_t from = begin * kChunk, to = least(end * kChunk, count_of(a.rank, a.dims));
  const F32x16 one = F32x16::set(1.0f), zero = F32x16::zero();
  const auto with = [&](auto f) { binary_vectors(a, nest, from, to, f); };
  switch (a.op) {
    case BinaryOp::kAdd:
      return with([](F32x16 u, F32x16 v) { return u + v; });
    case BinaryOp::kSub:
      return with([](F32x16 u, F32x16 v) { return u - v; });
    case BinaryOp::kMul:
      return with([](F32x16 u, F32x16 v) { return u * v; });
    case BinaryOp::kDiv:
      return with([](F32x16 u, F32x16 v) { return u / v; });
    case BinaryOp::kMax:
      return with([](F32x16 u, F32x16 v) { return max_nan(u, v); });
    case BinaryOp::kMin:
      return with([](F32x16 u, F32x16 v) { return min_nan(u, v); });
    case BinaryOp::kLess:
      return with([=](F32x16 u, F32x16 v) { return select(less(u, v), one, zero); });
    case BinaryOp::kEqual:
      return with([=](F32x16 u, F32x16 v) { return select(equal(u, v), one, zero); });
    case BinaryOp::kPow: {
      const int64_t sa = nest.s[0][nest.rank - 1], sb = nest.s[1][nest.rank - 1];
      return walk_nest(nest, from, to, [&](int64_t at, int64_t oa, int64_t ob, int64_t run) {
        for (int64_t i = 0; i < run; ++i) {
          a.y[at + i] = ::powf(a.a[oa + i * sa], a.b[ob + i * sb]);
        }
      });
    }
  }
}

inline int64_t copy_tiles(const CopyArgs& a) { return chunks_of(count_of(a.rank, a.dims)); }

inline void copy_run(const CopyArgs& a, int64_t begin, int64_t end, void*) {
  const Nest nest = merge_nest(a.rank, a.dims, a.x_strides, a.y_strides);
  const int64_t sx = nest.s[0][nest.rank - 1], sy = nest.s[1][nest.rank - 1];
  const uint32_t* x = static_cast<const uint32_t*>(a.x);
  uint32_t* y = static_cast<uint32_t*>(a.y);
  const int64_t to = least(end * kChunk, count_of(a.rank, a.dims));
  walk_nest(nest, begin * kChunk, to, [&](int64_t, int64_t ox, int64_t oy, int64_t run) {
    if (sx == 1 && sy == 1) {
      __builtin_memcpy(y + oy, x + ox, static_cast<size_t>(run) * 4);
      return;
    }
    for (int64_t i = 0; i < run; ++i) y[oy + i * sy] = x[ox + i * sx];
  });
}

TRIGA_INLINE int64_t padded_count(const PadArgs& a) {
  return a.outer * (a.before + a.n + a.after) * a.inner;
}
inline int64_t pad_tiles(const PadArgs& a) { return chunks_of(padded_count(a)); }
inline void pad_run(const PadArgs& a, int64_t begin, int64_t end, void*) {
  const int64_t lead = a.before * a.inner, length = a.n * a.inner;
  const int64_t row = lead + length + a.after * a.inner;
  const uint32_t* x = static_cast<const uint32_t*>(a.x);
  uint32_t* y = static_cast<uint32_t*>(a.y);
  const int64_t to = least(end * kChunk, padded_count(a));
  for (int64_t at = begin * kChunk, run; at < to; at += run) {
    const int64_t in_row = at % row;
    const bool within = in_row >= lead && in_row < lead + length;
    run = least((in_row < lead ? lead : within ? lead + length : row) - in_row, to - at);
    const size_t bytes = static_cast<size_t>(run) * 4;
    if (within) {
      __builtin_memcpy(y + at, x + at / row * length + in_row - lead, bytes);
    } else {
      __builtin_memset(y + at, 0, bytes);
    }
  }
}

}  // namespace
}  // namespace triga
