// Steps of training: the gradients of norms, activations and tables.
#include <string>

#include "kernels/cpu/kernel_training.h"
#include "native/error.h"
#include "native/plan.h"

namespace triga {
namespace {

// Inputs x, weight, dy; outputs dx, dweight, with `layer` dbias, and room for the parts of each; attribute eps.
Step LoadNormGrad(const StepLoader& l, const Kernel<NormGradArgs>& kernel, bool layer) {
  const int32_t x = l.In(0, DType::kF32), weight = l.In(1, DType::kF32), dy = l.In(2, DType::kF32);
  const int32_t dx = l.Out(0, DType::kF32);
  for (const int32_t v : {dy, dx}) l.ExpectSameShape(x, v);
  l.Expect(l.Rank(x) > 0, "rows of x");
  const int64_t cols = l.Fixed(x, l.Rank(x) - 1);
  const size_t sums = layer ? 2 : 1;
  int32_t sum[2] = {-1, -1}, parts[2] = {-1, -1};
  l.Expect(l.Rank(weight) == 1 && l.Fixed(weight, 0) == cols, "a weight for each column");
  for (size_t i = 0; i < sums; ++i) {
    sum[i] = l.Out(1 + i, DType::kF32);
    parts[i] = l.Out(1 + sums + i, DType::kF32);
    l.ExpectSameShape(weight, sum[i]);
    l.Expect(
        l.Rank(parts[i]) == 2 && l.Fixed(parts[i], 0) == kParts && l.Fixed(parts[i], 1) == cols,
        "room for the parts");
  }
  const float eps = static_cast<float>(l.Attr(0));
  const Kernel<SumPartsArgs> add = l.kernels.training->sum_parts;
  const int32_t dweight = sum[0], dbias = sum[1], weights = parts[0], biases = parts[1];
  return {"",
          [=](const RunContext& c) {
            c.Run(kernel, NormGradArgs{c.F32(x), c.F32(weight), c.F32(dy), c.F32(dx),
                                       c.F32(weights), c.F32(biases), c.Rows(x), cols, eps});
            c.Run(add, SumPartsArgs{c.F32(weights), c.F32(dweight), cols});
            if (layer) c.Run(add, SumPartsArgs{c.F32(biases), c.F32(dbias), cols});
          },
          nullptr};
}

Activation FunctionOf(const StepLoader& l) {
  return static_cast<Activation>(l.Int(0, 0, static_cast<int64_t>(Activation::kSigmoid)));
}

}  // namespace

Step LoadRmsNormGrad(const StepLoader& l) {
  return LoadNormGrad(l, l.kernels.training->rms_norm_grad, false);
}
Step LoadLayerNormGrad(const StepLoader& l) {
  return LoadNormGrad(l, l.kernels.training->layer_norm_grad, true);
}

// Inputs x, cos, sin; attribute interleaved.
Step LoadRope(const StepLoader& l) {
  const int32_t x = l.In(0, DType::kF32), cos = l.In(1, DType::kF32), sin = l.In(2, DType::kF32),
                y = l.Out(0, DType::kF32);
  l.ExpectSameShape(x, y);
  l.ExpectSameShape(cos, sin);
  l.Expect(l.Rank(x) == 3 && l.Rank(cos) == 2 && l.DimOf(cos, 0) == l.DimOf(x, 0),
           "angles for each row of [T, H, D]");
  const int64_t heads = l.Fixed(x, 1), dim = l.Fixed(x, 2), half = l.Fixed(cos, 1);
  l.Expect(2 * half <= dim, "angles no wider than a head");
  const int32_t interleaved = static_cast<int32_t>(l.Int(0, 0, 1));
  const Kernel<RopeArgs> kernel = l.kernels.training->rope;
  return {"",
          [=](const RunContext& c) {
            c.Run(kernel, RopeArgs{c.F32(x), c.F32(cos), c.F32(sin), c.F32(y), c.Size(x, 0), heads,
                                   dim, half, interleaved});
          },
          nullptr};
}

// Inputs x, up?; attribute: the function.
Step LoadActivation(const StepLoader& l) {
  const int32_t x = l.In(0, DType::kF32), up = l.Optional(1, DType::kF32),
                y = l.Out(0, DType::kF32);
  l.ExpectSameShape(x, y);
  if (up >= 0) l.ExpectSameShape(x, up);
  const Activation fn = FunctionOf(l);
  const Kernel<ActivationArgs> kernel = l.kernels.training->activation;
  return {"",
          [=](const RunContext& c) {
            c.Run(kernel, ActivationArgs{c.F32(x), c.F32(up), c.F32(y), c.Count(x), fn});
          },
          nullptr};
}

// Inputs x, dy, up?; outputs dx, with up dup; attribute: the function.
Step LoadActivationGrad(const StepLoader& l) {
  const int32_t x = l.In(0, DType::kF32), dy = l.In(1, DType::kF32),
                up = l.Optional(2, DType::kF32), dx = l.Out(0, DType::kF32),
                dup = up < 0 ? -1 : l.Out(1, DType::kF32);
  for (const int32_t v : {dy, dx}) l.ExpectSameShape(x, v);
  if (up >= 0) {
    l.ExpectSameShape(x, up);
    l.ExpectSameShape(x, dup);
  }
  const Activation fn = FunctionOf(l);
  const Kernel<ActivationGradArgs> kernel = l.kernels.training->activation_grad;
  return {"",
          [=](const RunContext& c) {
            c.Run(kernel, ActivationGradArgs{c.F32(x), c.F32(up), c.F32(dy), c.F32(dx), c.F32(dup),
                                             c.Count(x), fn});
          },
          nullptr};
}

// Inputs ids, dy [..., C]; output dw [rows, C]. Gradients of tables and of gathered rows.
Step LoadEmbeddingGrad(const StepLoader& l) {
  const int32_t ids = l.In(0, DType::kI32), dy = l.In(1, DType::kF32), dw = l.Out(0, DType::kF32);
  l.ExpectNumberARow(ids, dy);
  l.Expect(l.Rank(dw) == 2 && l.DimOf(dw, 1) == l.DimOf(dy, l.Rank(dy) - 1),
           "a table as wide as the rows");
  l.CheckNumbers(l.Key("table", {ids, dw}), {ids}, [=](const RunContext& c) {
    for (int64_t i = 0; i < c.Count(ids); ++i) {
      if (c.I32(ids)[i] < 0 || c.I32(ids)[i] >= c.Size(dw, 0)) {
        throw EngineError(ErrorCode::kInvalidArgument, "embedding_grad: expected ids from 0 to " +
                                                           std::to_string(c.Size(dw, 0) - 1) +
                                                           ", got " +
                                                           std::to_string(c.I32(ids)[i]));
      }
    }
  });
  const Kernel<ScatterAddArgs> kernel = l.kernels.training->scatter_add;
  return {"",
          [=](const RunContext& c) {
            c.Run(kernel, ScatterAddArgs{c.F32(dy), c.I32(ids), c.F32(dw), c.Count(ids),
                                         c.Size(dw, 0), c.Size(dw, 1)});
          },
          nullptr};
}

}  // namespace triga
