// A product of two matrices that both lie in memory row by row: op(a)·op(b). The right one is packed into panels for each product; the
// left one is moved where kernels want it otherwise.
#pragma once
#include <cstring>

#include "native/plan.h"

namespace triga {

struct PackedProduct {
  const CpuKernels* kernels;
  bool transpose_a, transpose_b, bf16;

  // Whether MoveLeft has anything to do.
  bool moves_left() const { return bf16 || transpose_a; }

  const Kernel<LinearArgs>& kernel() const {
    return bf16 ? kernels->linear_bf16_dot : kernels->linear_f32;
  }

  // op(b) [k, n] into panels [ceil(n / kPanel), k, kPanel], bf16: k rounded up to a multiple of 2.
  void PackRight(const RunContext& c, const float* b, void* panels, int64_t n, int64_t k) const {
    ZeroMissingColumns(static_cast<char*>(panels), n, k);
    c.Run(kernels->pack,
          PackArgs{b, panels, n, k, 0, WeightType::kF32,
                   bf16 ? WeightType::kBF16 : WeightType::kF32, transpose_b ? 0 : 1, 0});
  }

  // op(a) [m, k] as rows; bf16: k rounded up to a multiple of 2.
  void MoveLeft(const RunContext& c, const float* a, void* rows, int64_t m, int64_t k) const {
    const int64_t stride = transpose_a ? m : k;
    if (bf16) {
      c.Run(kernels->to_bf16,
            ToBF16Args{a, static_cast<uint16_t*>(rows), m, k, stride, even(k), transpose_a});
    } else if (transpose_a) {
      c.Run(kernels->transpose, TransposeArgs{a, static_cast<float*>(rows), m, k, stride, k});
    }
  }

  // y [m, n] = x·panels; x: what MoveLeft gave, or `a` where it has nothing to do.
  LinearArgs Args(const void* x, const void* panels, float* y, int64_t m, int64_t n,
                  int64_t k) const {
    LinearArgs args{};
    args.x = x;
    args.panels = panels;
    args.y = y;
    args.rows = m;
    args.n = n;
    args.k = k;
    args.x_stride = bf16 ? even(k) : k;
    args.y_stride = args.residual_stride = n;
    return args;
  }

 private:
  static int64_t even(int64_t k) { return (k + 1) / 2 * 2; }

  // Of the last panel.
  void ZeroMissingColumns(char* panels, int64_t n, int64_t k) const {
    if (n % kPanel == 0) return;
    const size_t bytes = static_cast<size_t>(bf16 ? even(k) / 2 : k) * kPanel * sizeof(float);
    std::memset(panels + static_cast<size_t>(n / kPanel) * bytes, 0, bytes);
  }
};

}  // namespace triga
