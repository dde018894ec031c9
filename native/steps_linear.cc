// Steps with weights in panels: linears, embeddings.
#include <algorithm>
#include <cstring>
#include <string>

#include "native/error.h"
#include "native/plan.h"

namespace triga {
namespace {

struct LinearStep {
  int32_t x, y, residual;
  const Param* weight;
  const float* bias;
  Activation activation;

  LinearArgs Args(const RunContext& c, const void* input, int64_t input_stride) const {
    LinearArgs a{};
    a.x = input;
    a.panels = weight->data;
    a.bias = bias;
    a.residual = c.F32(residual);
    a.y = c.F32(y);
    a.rows = c.Rows(x);
    a.n = weight->n;
    a.k = weight->k;
    a.x_stride = input_stride;
    a.residual_stride = a.y_stride = a.n;
    a.activation = activation;
    a.gated = weight->gated ? 1 : 0;
    return a;
  }
};

// Inputs x, weight, bias?, residual?; output y.
LinearStep LoadLinearStep(const StepLoader& l, DType x_type) {
  LinearStep s{};
  s.x = l.In(0, x_type);
  const int32_t w = l.AnyIn(1);
  const int32_t bias = l.Optional(2, DType::kF32);
  s.residual = l.Optional(3, DType::kF32);
  s.y = l.Out(0, DType::kF32);
  s.activation = static_cast<Activation>(l.Int(0, 0, static_cast<int64_t>(Activation::kSigmoid)));
  s.weight = &l.ParamOf(w, ParamLayout::kPanels);
  const size_t last = l.Rank(s.x) - 1;
  l.Expect(l.Rank(s.x) >= 1, "rows of x");
  l.ExpectSameRows(s.x, s.y);
  l.Expect(l.Fixed(s.y, last) == s.weight->n, "y as wide as the weight is high");
  if (s.residual >= 0) l.ExpectSameShape(s.residual, s.y);
  if (bias >= 0) {
    const Param& b = l.ParamOf(bias, ParamLayout::kVector);
    l.Expect(b.n == s.weight->n && b.k == 1 && b.gated == s.weight->gated,
             "a bias for each column");
    s.bias = reinterpret_cast<const float*>(b.data);
  }
  return s;
}

}  // namespace

// Also an output for the bf16 dot product: room for x rounded to bf16 [rows, even k].
Step LoadLinear(const StepLoader& l) {
  const LinearStep s = LoadLinearStep(l, DType::kF32);
  const size_t last = l.Rank(s.x) - 1;
  l.Expect(l.Fixed(s.x, last) == s.weight->k && s.weight->dtype != DType::kQ8,
           "x as wide as a weight of floats");
  const CpuKernels& k = l.kernels;
  const int64_t width = s.weight->k;
  if (s.weight->dtype != DType::kBF16 || !k.linear_bf16_dot.run) {
    const Kernel<LinearArgs> kernel = s.weight->dtype == DType::kF32   ? k.linear_f32
                                      : s.weight->dtype == DType::kF16 ? k.linear_f16
                                                                       : k.linear_bf16;
    return {
        "",
        [s, kernel, width](const RunContext& c) { c.Run(kernel, s.Args(c, c.F32(s.x), width)); },
        [s, kernel, width](const RunContext& c) {
          return ScratchOf(kernel, s.Args(c, nullptr, width));
        }};
  }
  const int32_t rounded = l.Out(1, DType::kBF16);
  const int64_t even = s.weight->panels_k;
  l.ExpectSameRows(s.x, rounded);
  l.Expect(l.Fixed(rounded, last) == even, "room for an even number of bf16 a row");
  const Kernel<LinearArgs> kernel = k.linear_bf16_dot;
  const Kernel<ToBF16Args> round = k.to_bf16;
  return {"",
          [s, kernel, round, rounded, width, even](const RunContext& c) {
            uint16_t* room = reinterpret_cast<uint16_t*>(c.Address(rounded));
            c.Run(round, ToBF16Args{c.F32(s.x), room, c.Rows(s.x), width, width, even, 0});
            c.Run(kernel, s.Args(c, room, even));
          },
          [s, kernel, even](const RunContext& c) {
            return ScratchOf(kernel, s.Args(c, nullptr, even));
          }};
}

// Also an input x_scale, and an output with room for x as the kernel wants it.
Step LoadQuantizedLinear(const StepLoader& l) {
  const LinearStep s = LoadLinearStep(l, DType::kI8);
  const int32_t scale = l.In(4, DType::kF32), room = l.Out(1, DType::kI8);
  const size_t last = l.Rank(s.x) - 1;
  const int64_t groups = ScalesOf(s.weight->k), wide = groups * kGroup;
  l.Expect(s.weight->dtype == DType::kQ8 && l.Fixed(s.x, last) == wide,
           "x as wide as a weight of q8, in whole groups");
  l.ExpectNumberARow(scale, s.x);
  l.ExpectSameRows(s.x, room);
  l.Expect(l.Fixed(room, last) == groups * (2 * kGroup + 8), "room for x");
  const Kernel<Int8RowsArgs> expand = l.kernels.int8_rows;
  const Kernel<LinearInt8Args> kernel = l.kernels.linear_q8;
  const auto args = [=](const RunContext& c) {
    return LinearInt8Args{s.Args(c, c.I8(room), 0), c.F32(scale), kGroup};
  };
  return {"",
          [=](const RunContext& c) {
            c.Run(expand, Int8RowsArgs{c.I8(s.x), reinterpret_cast<char*>(c.I8(room)), c.Rows(s.x),
                                       wide, kGroup, wide});
            c.Run(kernel, args(c));
          },
          [=](const RunContext& c) { return ScratchOf(kernel, args(c)); }};
}

Step LoadEmbedding(const StepLoader& l) {
  const int32_t w = l.AnyIn(0), ids = l.In(1, DType::kI32), y = l.Out(0, DType::kF32);
  const Param* p = &l.ParamOf(w, ParamLayout::kPanels);
  l.Expect(!p->gated && l.Rank(y) == l.Rank(ids) + 1 && l.Fixed(y, l.Rank(ids)) == p->k,
           "y as wide as the table");
  for (size_t i = 0; i < l.Rank(ids); ++i)
    l.Expect(l.DimOf(ids, i) == l.DimOf(y, i), "a row for each id");
  const int64_t rows = p->n;
  l.CheckNumbers(
      l.Key("ids", {ids, static_cast<int32_t>(rows)}), {ids}, [ids, rows](const RunContext& c) {
        const int32_t* id = c.I32(ids);
        for (int64_t i = 0; i < c.Count(ids); ++i) {
          if (id[i] < 0 || id[i] >= rows) {
            throw EngineError(ErrorCode::kInvalidArgument, "expected ids from 0 to " +
                                                               std::to_string(rows - 1) + ", got " +
                                                               std::to_string(id[i]));
          }
        }
      });
  const Kernel<EmbeddingArgs> kernel = l.kernels.embedding;
  const WeightType type = ToWeightType(p->dtype);
  return {"",
          [=](const RunContext& c) {
            c.Run(kernel, EmbeddingArgs{p->data, c.I32(ids), c.F32(y), c.Count(ids), p->k, type});
          },
          nullptr};
}

}  // namespace triga
