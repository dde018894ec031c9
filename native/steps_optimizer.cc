// Steps that change states in place: optimizers, averages, gradient sums; and the sum of squares for clipping.
#include <string>

#include "kernels/cpu/kernel_training.h"
#include "native/plan.h"

namespace triga {
namespace {

// An output that continues an input lies where that does.
int32_t InPlace(const StepLoader& l, size_t out, size_t in) {
  const int32_t y = l.Out(out, DType::kF32), x = l.In(in, DType::kF32);
  l.ExpectSameShape(x, y);
  l.Expect(l.Value(x).source == l.Value(y).source && l.Value(x).at == l.Value(y).at,
           "an output in the memory of input " + std::to_string(in));
  return y;
}

int32_t Hyper(const StepLoader& l, size_t in, size_t bytes) {
  const int32_t h = l.In(in, DType::kF32);
  l.Expect(l.Rank(h) == 1 && l.Fixed(h, 0) == static_cast<int64_t>(bytes / sizeof(float)),
           "a number for each of the optimizer's");
  return h;
}

}  // namespace

// Inputs param, m, v, grad, hyper; outputs the first three.
Step LoadAdamw(const StepLoader& l) {
  const int32_t param = InPlace(l, 0, 0), m = InPlace(l, 1, 1), v = InPlace(l, 2, 2),
                grad = l.In(3, DType::kF32), hyper = Hyper(l, 4, sizeof(AdamwHyper));
  for (const int32_t x : {m, v, grad}) l.ExpectSameShape(param, x);
  const Kernel<AdamwArgs> kernel = l.kernels.training->adamw;
  return {"",
          [=](const RunContext& c) {
            c.Run(kernel,
                  AdamwArgs{c.F32(param), c.F32(m), c.F32(v), c.F32(grad),
                            reinterpret_cast<const AdamwHyper*>(c.Address(hyper)), c.Count(param)});
          },
          nullptr};
}

// Inputs param, momentum, grad, hyper; outputs the first two; attribute nesterov.
Step LoadSgd(const StepLoader& l) {
  const int32_t param = InPlace(l, 0, 0), momentum = InPlace(l, 1, 1), grad = l.In(2, DType::kF32),
                hyper = Hyper(l, 3, sizeof(SgdHyper));
  for (const int32_t x : {momentum, grad}) l.ExpectSameShape(param, x);
  const int32_t nesterov = static_cast<int32_t>(l.Int(0, 0, 1));
  const Kernel<SgdArgs> kernel = l.kernels.training->sgd;
  return {"",
          [=](const RunContext& c) {
            c.Run(kernel, SgdArgs{c.F32(param), c.F32(momentum), c.F32(grad),
                                  reinterpret_cast<const SgdHyper*>(c.Address(hyper)),
                                  c.Count(param), nesterov});
          },
          nullptr};
}

// Inputs average, param, decay.
Step LoadEma(const StepLoader& l) {
  const int32_t average = InPlace(l, 0, 0), param = l.In(1, DType::kF32),
                decay = Hyper(l, 2, sizeof(float));
  l.ExpectSameShape(average, param);
  const Kernel<EmaArgs> kernel = l.kernels.training->ema;
  return {"",
          [=](const RunContext& c) {
            c.Run(kernel, EmaArgs{c.F32(average), c.F32(param), c.F32(decay), c.Count(average)});
          },
          nullptr};
}

// Inputs sum, x.
Step LoadAccumulate(const StepLoader& l) {
  const int32_t sum = InPlace(l, 0, 0), x = l.In(1, DType::kF32);
  l.ExpectSameShape(sum, x);
  const Kernel<BinaryArgs> kernel = l.kernels.binary;
  return {"",
          [=](const RunContext& c) {
            BinaryArgs a{c.F32(sum), c.F32(x), c.F32(sum), 1, {}, {}, {}, BinaryOp::kAdd};
            a.dims[0] = c.Count(sum);
            a.a_strides[0] = a.b_strides[0] = 1;
            c.Run(kernel, a);
          },
          nullptr};
}

// Attribute: the number.
Step LoadFill(const StepLoader& l) {
  const int32_t x = InPlace(l, 0, 0);
  const float value = static_cast<float>(l.Attr(0));
  const Kernel<FillArgs> kernel = l.kernels.training->fill;
  return {"", [=](const RunContext& c) { c.Run(kernel, FillArgs{c.F32(x), c.Count(x), value}); },
          nullptr};
}

// Outputs y [1] and room for the parts.
Step LoadSumSquares(const StepLoader& l) {
  const int32_t x = l.In(0, DType::kF32), y = l.Out(0, DType::kF32), parts = l.Out(1, DType::kF32);
  l.Expect(l.Rank(y) == 1 && l.Fixed(y, 0) == 1, "a result of one number");
  l.Expect(l.Rank(parts) == 1 && l.Fixed(parts, 0) == kParts, "room for the parts");
  const TrainingKernels& k = *l.kernels.training;
  return {"",
          [=, &k](const RunContext& c) {
            c.Run(k.sum_squares, SumSquaresArgs{c.F32(x), c.F32(parts), c.Count(x)});
            c.Run(k.sum_parts, SumPartsArgs{c.F32(parts), c.F32(y), 1});
          },
          nullptr};
}

}  // namespace triga
