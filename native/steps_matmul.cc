// Products of matrices that both lie in memory row by row: the right one is packed into panels for each product.
#include <cstring>

#include "native/error.h"
#include "native/plan.h"

namespace triga {
namespace {

struct MatmulStep {
  int32_t a, b, bias, residual, y, panels, rows, padded_bias;
  size_t rank;
  bool transpose_a, transpose_b, bf16;
  bool rows_filled, panels_filled;  // an earlier step of the plan has done so
  const CpuKernels* kernels;

  // Sizes of the last two axes of y, and what is summed over.
  int64_t M(const RunContext& c) const { return c.Size(y, rank - 2); }
  int64_t N(const RunContext& c) const { return c.Size(y, rank - 1); }
  int64_t K(const RunContext& c) const { return c.Size(a, rank - (transpose_a ? 2 : 1)); }

  const Kernel<LinearArgs>& Product() const {
    return bf16 ? kernels->linear_bf16_dot : kernels->linear_f32;
  }

  PackArgs Pack(const RunContext& c, int64_t ib) const {
    const int64_t n = N(c), k = K(c);
    const WeightType type = bf16 ? WeightType::kBF16 : WeightType::kF32;
    return {c.F32(b) + ib * k * n,
            c.F32(panels),
            n,
            k,
            0,
            WeightType::kF32,
            type,
            transpose_b ? 0 : 1,
            0};
  }

  LinearArgs Linear(const RunContext& c, int64_t ia, int64_t iy) const {
    const int64_t m = M(c), n = N(c), k = K(c);
    const bool moved = bf16 || transpose_a;
    LinearArgs g{};
    g.x = moved ? c.F32(rows) : c.F32(a) + ia * m * k;
    g.panels = c.F32(panels);
    g.bias = bias < 0 ? nullptr : c.F32(padded_bias);
    g.residual = residual < 0 ? nullptr : c.F32(residual) + iy * m * n;
    g.y = c.F32(y) + iy * m * n;
    g.rows = m;
    g.n = n;
    g.k = k;
    g.x_stride = bf16 ? (k + 1) / 2 * 2 : k;
    g.y_stride = g.residual_stride = n;
    return g;
  }

  // The left side as the product reads it.
  void MoveRows(const RunContext& c, int64_t ia) const {
    const int64_t m = M(c), k = K(c), even = (k + 1) / 2 * 2;
    const float* x = c.F32(a) + ia * m * k;
    if (bf16) {
      uint16_t* to = reinterpret_cast<uint16_t*>(c.F32(rows));
      c.Run(kernels->to_bf16, ToBF16Args{x, to, m, k, transpose_a ? m : k, even, transpose_a});
    } else if (transpose_a) {
      c.Run(kernels->transpose, TransposeArgs{x, c.F32(rows), m, k, m, k});
    }
  }

  void Run(const RunContext& c) const {
    const int64_t n = N(c), k = K(c);
    if (n % kPanel != 0 && !panels_filled) {  // the last panel's columns that do not exist
      const size_t bytes = static_cast<size_t>(bf16 ? (k + 1) / 2 : k) * 64;
      std::memset(c.Address(panels) + static_cast<size_t>(n / kPanel) * bytes, 0, bytes);
    }
    if (bias >= 0) {
      std::memset(c.Address(padded_bias), 0,
                  static_cast<size_t>(c.Count(padded_bias)) * sizeof(float));
      std::memcpy(c.Address(padded_bias), c.Address(bias), static_cast<size_t>(n) * sizeof(float));
    }
    int64_t batches = 1, packed = -1;
    for (size_t i = 0; i + 2 < rank; ++i) batches *= c.Size(y, i);
    for (int64_t batch = 0; batch < batches; ++batch) {
      int64_t ia = 0, ib = 0, rest = batch, step_a = 1, step_b = 1;
      for (size_t i = rank - 2; i-- > 0;) {
        const int64_t at = rest % c.Size(y, i);
        rest /= c.Size(y, i);
        if (c.Size(a, i) != 1) ia += at * step_a;
        if (c.Size(b, i) != 1) ib += at * step_b;
        step_a *= c.Size(a, i);
        step_b *= c.Size(b, i);
      }
      if (ib != packed && !panels_filled) c.Run(kernels->pack, Pack(c, ib));
      packed = ib;
      if (!rows_filled) MoveRows(c, ia);
      c.Run(Product(), Linear(c, ia, batch));
    }
  }
};

}  // namespace

// Inputs a, b, bias?, residual?; outputs y, room for the panels of b, and (−1 where they are not needed) for the rows of a and for the
// bias. Attributes: transpose a, transpose b, bf16, whether the rooms for a and for b are filled already. y = op(a)·op(b) + bias + residual, which may be y itself.
Step LoadMatmul(const StepLoader& l) {
  MatmulStep s{};
  s.kernels = &l.kernels;
  s.a = l.In(0, DType::kF32);
  s.b = l.In(1, DType::kF32);
  s.bias = l.Optional(2, DType::kF32);
  s.residual = l.Optional(3, DType::kF32);
  s.y = l.Out(0, DType::kF32);
  s.panels = l.Out(1, DType::kF32);
  s.rank = l.Rank(s.y);
  s.transpose_a = l.Int(0, 0, 1) != 0;
  s.transpose_b = l.Int(1, 0, 1) != 0;
  s.bf16 = l.Int(2, 0, 1) != 0;
  s.rows_filled = l.Int(3, 0, 1) != 0;
  s.panels_filled = l.Int(4, 0, 1) != 0;
  const size_t rank = s.rank;
  l.Expect((!s.rows_filled && !s.panels_filled) || rank == 2,
           "rooms that are filled for matrices alone");
  l.Expect(!s.bf16 || l.kernels.linear_bf16_dot.run, "a level with products of bf16");
  l.Expect(rank >= 2 && l.Rank(s.a) == rank && l.Rank(s.b) == rank, "operands of one rank");
  const size_t am = rank - (s.transpose_a ? 1 : 2), ak = rank - (s.transpose_a ? 2 : 1),
               bk = rank - (s.transpose_b ? 1 : 2), bn = rank - (s.transpose_b ? 2 : 1);
  l.Expect(l.DimOf(s.a, ak) == l.DimOf(s.b, bk), "a as wide as b is high");
  l.Expect(l.DimOf(s.y, rank - 2) == l.DimOf(s.a, am) && l.DimOf(s.y, rank - 1) == l.DimOf(s.b, bn),
           "y of a's rows and b's columns");
  const int64_t panels = (l.Fixed(s.b, bn) + kPanel - 1) / kPanel;
  l.Expect(l.Rank(s.panels) == 3 && l.Fixed(s.panels, 0) == panels &&
               l.DimOf(s.panels, 1) == l.DimOf(s.b, bk) && l.Fixed(s.panels, 2) == kPanel,
           "room for the panels of b");
  for (size_t i = 0; i + 2 < rank; ++i) {
    const Dim one{1, -1};
    l.Expect((l.DimOf(s.a, i) == l.DimOf(s.y, i) || l.DimOf(s.a, i) == one) &&
                 (l.DimOf(s.b, i) == l.DimOf(s.y, i) || l.DimOf(s.b, i) == one),
             "batches that broadcast");
  }
  size_t out = 2;
  if (s.bf16 || s.transpose_a) {
    s.rows = l.Out(out++, DType::kF32);
    l.Expect(l.Rank(s.rows) == 2 && l.DimOf(s.rows, 0) == l.DimOf(s.a, am) &&
                 l.DimOf(s.rows, 1) == l.DimOf(s.a, ak),
             "room for the rows of a");
  }
  if (s.bias >= 0) {
    s.padded_bias = l.Out(out, DType::kF32);
    l.Expect(l.Rank(s.bias) == 1 && l.DimOf(s.bias, 0) == l.DimOf(s.b, bn) &&
                 l.Rank(s.padded_bias) == 1 && l.Fixed(s.padded_bias, 0) == panels * kPanel,
             "a bias for each column, and room for it");
  }
  if (s.residual >= 0) l.ExpectSameShape(s.residual, s.y);
  return {"", [s](const RunContext& c) { s.Run(c); },
          [s](const RunContext& c) { return ScratchOf(s.Product(), s.Linear(c, 0, 0)); }};
}

}  // namespace triga
