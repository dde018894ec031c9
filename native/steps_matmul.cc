// Products of matrices that both lie in memory row by row: the right one is packed into panels for each product.
#include <cstring>

#include "native/error.h"
#include "native/packed_product.h"
#include "native/plan.h"

namespace triga {
namespace {

struct MatmulStep {
  PackedProduct product;
  int32_t a, b, bias, residual, y, panels, rows, padded_bias;
  size_t rank;
  bool rows_filled, panels_filled;  // an earlier step of the plan has done so

  // Sizes of the last two axes of y, and what is summed over.
  int64_t M(const RunContext& c) const { return c.Size(y, rank - 2); }
  int64_t N(const RunContext& c) const { return c.Size(y, rank - 1); }
  int64_t K(const RunContext& c) const { return c.Size(a, rank - (product.transpose_a ? 2 : 1)); }

  LinearArgs Linear(const RunContext& c, int64_t ia, int64_t iy) const {
    const int64_t m = M(c), n = N(c), k = K(c);
    const float* x = product.moves_left() ? c.F32(rows) : c.F32(a) + ia * m * k;
    LinearArgs args = product.Args(x, c.F32(panels), c.F32(y) + iy * m * n, m, n, k);
    if (bias >= 0) args.bias = c.F32(padded_bias);
    if (residual >= 0) args.residual = c.F32(residual) + iy * m * n;
    return args;
  }

  void Run(const RunContext& c) const {
    const int64_t m = M(c), n = N(c), k = K(c);
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
      if (ib != packed && !panels_filled)
        product.PackRight(c, c.F32(b) + ib * k * n, c.F32(panels), n, k);
      packed = ib;
      if (product.moves_left() && !rows_filled)
        product.MoveLeft(c, c.F32(a) + ia * m * k, c.F32(rows), m, k);
      c.Run(product.kernel(), Linear(c, ia, batch));
    }
  }
};

}  // namespace

// Inputs a, b, bias?, residual?; outputs y, room for the panels of b, and (−1 where they are not needed) for the rows of a and for the
// bias. Attributes: transpose a, transpose b, bf16, whether the rooms for a and for b are filled already. y = op(a)·op(b) + bias + residual, which may be y itself.
Step LoadMatmul(const StepLoader& l) {
  MatmulStep s{};
  s.a = l.In(0, DType::kF32);
  s.b = l.In(1, DType::kF32);
  s.bias = l.Optional(2, DType::kF32);
  s.residual = l.Optional(3, DType::kF32);
  s.y = l.Out(0, DType::kF32);
  s.panels = l.Out(1, DType::kF32);
  s.rank = l.Rank(s.y);
  s.product = {&l.kernels, l.Int(0, 0, 1) != 0, l.Int(1, 0, 1) != 0, l.Int(2, 0, 1) != 0};
  s.rows_filled = l.Int(3, 0, 1) != 0;
  s.panels_filled = l.Int(4, 0, 1) != 0;
  const size_t rank = s.rank;
  l.Expect((!s.rows_filled && !s.panels_filled) || rank == 2,
           "rooms that are filled for matrices alone");
  const bool transpose_a = s.product.transpose_a, transpose_b = s.product.transpose_b;
  l.Expect(!s.product.bf16 || l.kernels.linear_bf16_dot.run, "a level with products of bf16");
  l.Expect(rank >= 2 && l.Rank(s.a) == rank && l.Rank(s.b) == rank, "operands of one rank");
  const size_t am = rank - (transpose_a ? 1 : 2), ak = rank - (transpose_a ? 2 : 1),
               bk = rank - (transpose_b ? 1 : 2), bn = rank - (transpose_b ? 2 : 1);
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
  if (s.product.moves_left()) {
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
          [s](const RunContext& c) { return ScratchOf(s.product.kernel(), s.Linear(c, 0, 0)); }};
}

}  // namespace triga
