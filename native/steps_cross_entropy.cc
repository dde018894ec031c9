// Steps of losses: cross-entropy of logits that are there, and of a linear's, of which only some rows are ever in memory.
#include <algorithm>
#include <cstring>
#include <string>

#include "kernels/cpu/kernel_training.h"
#include "native/error.h"
#include "native/packed_product.h"
#include "native/plan.h"

namespace triga {
namespace {

// A label for each row, which is kIgnored or names one of the classes, as many as `table` has along `axis`.
void CheckLabels(const StepLoader& l, int32_t labels, int32_t rows, int32_t table, size_t axis) {
  const Dim classes = l.DimOf(table, axis);
  l.ExpectNumberARow(labels, rows);
  l.CheckNumbers(l.Key("labels", {table, labels}), {labels}, [=](const RunContext& c) {
    for (int64_t i = 0; i < c.Count(labels); ++i) {
      const int32_t label = c.I32(labels)[i];
      if (label != kIgnored && (label < 0 || label >= c.Size(classes))) {
        throw EngineError(ErrorCode::kInvalidArgument, "cross_entropy: expected labels from 0 to " +
                                                           std::to_string(c.Size(classes) - 1) +
                                                           ", or " + std::to_string(kIgnored) +
                                                           " where there is none, got " +
                                                           std::to_string(label));
      }
    }
  });
}

// Inputs logits, labels; attribute smoothing. What is left out is where the result goes.
std::function<CrossEntropyArgs(const RunContext&)> LoadLabelled(const StepLoader& l) {
  const int32_t logits = l.In(0, DType::kF32), labels = l.In(1, DType::kI32);
  l.Expect(l.Rank(logits) == 2, "rows of logits");
  CheckLabels(l, labels, logits, logits, 1);
  const float smoothing = static_cast<float>(l.Attr(0));
  return [=](const RunContext& c) {
    return CrossEntropyArgs{c.F32(logits),     c.I32(labels),     nullptr,
                            c.Size(logits, 0), c.Size(logits, 1), smoothing};
  };
}

// Logits in memory at once. Sums over rows are of so many at a time, whatever the number of threads.
constexpr int64_t kRowsAtOnce = 256;

struct LinearCrossEntropy {
  const CpuKernels* kernels;
  int32_t x, w, labels, dloss = -1, loss, dx = -1, dw = -1;
  int32_t logits, w_panels, x_rows = -1;
  int32_t wt_panels = -1, columns = -1, x_panels = -1, rows = -1;
  int64_t classes, width;
  float smoothing;
  bool bf16;

  PackedProduct ToLogits() const { return {kernels, false, true, bf16}; }
  PackedProduct ToDx() const { return {kernels, false, false, bf16}; }
  PackedProduct ToDw() const { return {kernels, true, false, bf16}; }

  void Run(const RunContext& c) const {
    ToLogits().PackRight(c, c.F32(w), c.Address(w_panels), classes, width);
    if (dloss >= 0) ToDx().PackRight(c, c.F32(w), c.Address(wt_panels), width, classes);
    const int64_t all = c.Size(x, 0);
    // Without rows the gradient of w is 0.
    if (dloss >= 0 && all == 0)
      std::memset(c.Address(dw), 0, static_cast<size_t>(c.Count(dw)) * sizeof(float));
    for (int64_t first = 0; first < all; first += kRowsAtOnce)
      RunRows(c, first, std::min(kRowsAtOnce, all - first));
  }

  void RunRows(const RunContext& c, int64_t first, int64_t count) const {
    const float* from = c.F32(x) + first * width;
    if (bf16) ToLogits().MoveLeft(c, from, c.Address(x_rows), count, width);
    c.Run(ToLogits().kernel(), LogitsArgs(c, first, count));
    const CrossEntropyArgs forward{
        c.F32(logits), c.I32(labels) + first, c.F32(loss) + first, count, classes, smoothing};
    if (dloss < 0) {
      c.Run(kernels->training->cross_entropy, forward);
      return;
    }
    c.Run(kernels->training->cross_entropy_grad,
          CrossEntropyGradArgs{forward, c.F32(dloss) + first, c.F32(logits)});
    if (bf16) ToDx().MoveLeft(c, c.F32(logits), c.Address(rows), count, classes);
    c.Run(ToDx().kernel(), DxArgs(c, first, count));
    ToDw().PackRight(c, from, c.Address(x_panels), width, count);
    ToDw().MoveLeft(c, c.F32(logits), c.Address(columns), classes, count);
    c.Run(ToDw().kernel(), DwArgs(c, first, count));
  }

  // The three products of `count` rows from `first`.
  LinearArgs LogitsArgs(const RunContext& c, int64_t first, int64_t count) const {
    const void* from = c.F32(x) + first * width;
    if (bf16) from = c.Address(x_rows);
    return ToLogits().Args(from, c.Address(w_panels), c.F32(logits), count, classes, width);
  }
  LinearArgs DxArgs(const RunContext& c, int64_t first, int64_t count) const {
    const void* from = c.Address(bf16 ? rows : logits);
    return ToDx().Args(from, c.Address(wt_panels), c.F32(dx) + first * width, count, width,
                       classes);
  }
  LinearArgs DwArgs(const RunContext& c, int64_t first, int64_t count) const {
    LinearArgs args =
        ToDw().Args(c.Address(columns), c.Address(x_panels), c.F32(dw), classes, width, count);
    if (first > 0) args.residual = c.F32(dw);
    return args;
  }

  size_t Scratch(const RunContext& c) const {
    const size_t forward = ScratchOf(ToLogits().kernel(), LogitsArgs(c, 0, kRowsAtOnce));
    if (dloss < 0) return forward;
    return std::max({forward, ScratchOf(ToDx().kernel(), DxArgs(c, 0, kRowsAtOnce)),
                     ScratchOf(ToDw().kernel(), DwArgs(c, 0, kRowsAtOnce))});
  }
};

// With gradients also an input dloss, and outputs dx and dw.
Step LoadOfLinear(const StepLoader& l, bool gradients) {
  LinearCrossEntropy s{};
  s.kernels = &l.kernels;
  s.x = l.In(0, DType::kF32);
  s.w = l.In(1, DType::kF32);
  s.labels = l.In(2, DType::kI32);
  s.smoothing = static_cast<float>(l.Attr(0));
  s.bf16 = l.Int(1, 0, 1) != 0;
  l.Expect(!s.bf16 || l.kernels.linear_bf16_dot.run, "a level with products of bf16");
  l.Expect(l.Rank(s.x) == 2 && l.Rank(s.w) == 2, "rows of x, and a row of w for each class");
  s.classes = l.Fixed(s.w, 0);
  s.width = l.Fixed(s.w, 1);
  l.Expect(l.Fixed(s.x, 1) == s.width, "w as wide as x");
  CheckLabels(l, s.labels, s.x, s.w, 0);

  size_t out = 0;
  const DType moved = s.bf16 ? DType::kBF16 : DType::kF32;
  const auto even = [&](int64_t k) { return s.bf16 ? (k + 1) / 2 * 2 : k; };
  const auto rows = [&](DType dtype, int64_t m, int64_t k) {
    const int32_t v = l.Out(out++, dtype);
    l.Expect(l.Rank(v) == 2 && l.Fixed(v, 0) == m && l.Fixed(v, 1) == k, "room for rows");
    return v;
  };
  const auto panels = [&](int64_t n, int64_t k) {
    const int32_t v = l.Out(out++, moved);
    l.Expect(l.Rank(v) == 3 && l.Fixed(v, 0) == (n + kPanel - 1) / kPanel &&
                 l.Fixed(v, 1) == even(k) && l.Fixed(v, 2) == kPanel,
             "room for panels");
    return v;
  };
  s.loss = l.Out(out++, DType::kF32);
  l.ExpectNumberARow(s.loss, s.x);
  if (gradients) {
    s.dloss = l.In(3, DType::kF32);
    l.ExpectNumberARow(s.dloss, s.x);
    s.dx = l.Out(out++, DType::kF32);
    s.dw = l.Out(out++, DType::kF32);
    l.ExpectSameShape(s.dx, s.x);
    l.ExpectSameShape(s.dw, s.w);
  }
  s.logits = rows(DType::kF32, kRowsAtOnce, s.classes);
  s.w_panels = panels(s.classes, s.width);
  if (s.bf16) s.x_rows = rows(moved, kRowsAtOnce, even(s.width));
  if (gradients) {
    s.wt_panels = panels(s.width, s.classes);
    s.columns = rows(moved, s.classes, kRowsAtOnce);
    s.x_panels = panels(s.width, kRowsAtOnce);
    if (s.bf16) s.rows = rows(moved, kRowsAtOnce, even(s.classes));
  }
  return {"", [s](const RunContext& c) { s.Run(c); },
          [s](const RunContext& c) { return s.Scratch(c); }};
}

}  // namespace

Step LoadCrossEntropy(const StepLoader& l) {
  const auto labelled = LoadLabelled(l);
  const int32_t loss = l.Out(0, DType::kF32);
  l.ExpectNumberARow(loss, l.In(0, DType::kF32));
  const Kernel<CrossEntropyArgs> kernel = l.kernels.training->cross_entropy;
  return {"",
          [=](const RunContext& c) {
            CrossEntropyArgs a = labelled(c);
            a.loss = c.F32(loss);
            c.Run(kernel, a);
          },
          nullptr};
}

// Also an input dloss.
Step LoadCrossEntropyGrad(const StepLoader& l) {
  const auto labelled = LoadLabelled(l);
  const int32_t dloss = l.In(2, DType::kF32), dlogits = l.Out(0, DType::kF32);
  l.ExpectNumberARow(dloss, l.In(0, DType::kF32));
  l.ExpectSameShape(l.In(0, DType::kF32), dlogits);
  const Kernel<CrossEntropyGradArgs> kernel = l.kernels.training->cross_entropy_grad;
  return {"",
          [=](const RunContext& c) {
            c.Run(kernel, CrossEntropyGradArgs{labelled(c), c.F32(dloss), c.F32(dlogits)});
          },
          nullptr};
}

// Inputs x, w, labels, with gradients dloss; outputs loss, with gradients dx and dw, then room: for the logits and for the operands of
// the products, in the order in which linearCrossEntropy of lib/exec/training_lowering.ts makes it. Attributes: smoothing, bf16.
Step LoadLinearCrossEntropy(const StepLoader& l) { return LoadOfLinear(l, false); }
Step LoadLinearCrossEntropyGrad(const StepLoader& l) { return LoadOfLinear(l, true); }

}  // namespace triga
