// Steps without weights or caches: norms, elementwise, reductions, copies.
#include <string>

#include "kernels/cpu/kernel_gradients.h"
#include "kernels/cpu/kernel_training.h"
#include "native/error.h"
#include "native/plan.h"

namespace triga {
namespace {

// A parameter, or what training has in its place: a state or a computed value.
void ExpectVector(const StepLoader& l, int32_t v, int64_t n) {
  if (v < 0) return;
  if (l.Value(v).source == Source::kParam) {
    const Param& p = l.ParamOf(v, ParamLayout::kVector);
    l.Expect(p.n * p.k == n && !p.gated, "a number for each column");
  } else {
    l.Expect(l.Rank(v) == 1 && l.Fixed(v, 0) == n, "a number for each column");
  }
}

// Inputs x, weight, bias?; attribute eps. What is left out is where the result goes.
std::function<NormArgs(const RunContext&)> NormOf(const StepLoader& l) {
  const int32_t x = l.In(0, DType::kF32);
  const int64_t cols = l.Fixed(x, l.Rank(x) - 1);
  const int32_t weight = l.In(1, DType::kF32), bias = l.Optional(2, DType::kF32);
  for (const int32_t v : {weight, bias}) ExpectVector(l, v, cols);
  const float eps = static_cast<float>(l.Attr(0));
  return [=](const RunContext& c) {
    return NormArgs{c.F32(x), c.F32(weight), c.F32(bias), nullptr, c.Rows(x),
                    cols,     cols,          cols,        eps};
  };
}

Step LoadNorm(const StepLoader& l, const Kernel<NormArgs>& kernel) {
  const auto norm = NormOf(l);
  const int32_t y = l.Out(0, DType::kF32);
  l.ExpectSameShape(l.In(0, DType::kF32), y);
  const auto args = [=](const RunContext& c) {
    NormArgs a = norm(c);
    a.y = c.F32(y);
    return a;
  };
  return {"", [=](const RunContext& c) { c.Run(kernel, args(c)); },
          [=](const RunContext& c) { return ScratchOf(kernel, args(c)); }};
}

// Outputs q and scale.
Step LoadNorm(const StepLoader& l, const Kernel<QuantizedNormArgs>& kernel) {
  const auto norm = NormOf(l);
  const int32_t q = l.Out(0, DType::kI8), scale = l.Out(1, DType::kF32);
  l.ExpectBytesOf(q, scale, l.In(0, DType::kF32));
  const auto args = [=](const RunContext& c) {
    return QuantizedNormArgs{norm(c), c.I8(q), c.F32(scale)};
  };
  return {"", [=](const RunContext& c) { c.Run(kernel, args(c)); },
          [=](const RunContext& c) { return ScratchOf(kernel, args(c)); }};
}

// Elements before, along and after an axis.
struct Around {
  int64_t outer = 1, n = 1, inner = 1;
};

Around AroundAxis(const RunContext& c, int32_t v, size_t axis, size_t rank) {
  Around a;
  for (size_t i = 0; i < rank; ++i)
    (i < axis ? a.outer : i == axis ? a.n : a.inner) *= c.Size(v, i);
  return a;
}

}  // namespace

Step LoadRmsNorm(const StepLoader& l) { return LoadNorm(l, l.kernels.rms_norm); }
Step LoadLayerNorm(const StepLoader& l) { return LoadNorm(l, l.kernels.layer_norm); }
Step LoadRmsNormQuantized(const StepLoader& l) { return LoadNorm(l, l.kernels.rms_norm_quantized); }
Step LoadLayerNormQuantized(const StepLoader& l) {
  return LoadNorm(l, l.kernels.layer_norm_quantized);
}

// Attribute: the function.
Step LoadUnary(const StepLoader& l) {
  const int32_t x = l.In(0, DType::kF32), y = l.Out(0, DType::kF32);
  l.ExpectSameShape(x, y);
  const UnaryOp op = static_cast<UnaryOp>(l.Int(0, 0, static_cast<int64_t>(UnaryOp::kRelu)));
  const Kernel<UnaryArgs> kernel = l.kernels.unary;
  return {
      "",
      [=](const RunContext& c) { c.Run(kernel, UnaryArgs{c.F32(x), c.F32(y), c.Count(x), op}); },
      nullptr};
}

// Attribute: the function. The operands' axes are aligned at the end; an axis of size 1 is stretched.
Step LoadBinary(const StepLoader& l) {
  const int32_t a = l.In(0, DType::kF32), b = l.In(1, DType::kF32), y = l.Out(0, DType::kF32);
  const BinaryOp op = static_cast<BinaryOp>(l.Int(0, 0, static_cast<int64_t>(BinaryOp::kEqual)));
  const size_t rank = l.Rank(y);
  for (const int32_t v : {a, b}) {
    l.Expect(l.Rank(v) <= rank, "operands of no more axes than the result");
    for (size_t i = 0; i < l.Rank(v); ++i) {
      const Dim d = l.DimOf(v, i);
      l.Expect(d == l.DimOf(y, rank - l.Rank(v) + i) || d == Dim{1, -1}, "operands that broadcast");
    }
  }
  const Kernel<BinaryArgs> kernel = l.kernels.binary;
  const size_t rank_a = l.Rank(a), rank_b = l.Rank(b);
  const auto fill = [rank](const RunContext& c, int32_t v, size_t own, int64_t* strides) {
    int64_t step = 1;
    for (size_t i = 0; i < rank; ++i) {
      const size_t axis = rank - 1 - i;
      const int64_t size = i < own ? c.Size(v, own - 1 - i) : 1;
      strides[axis] = size == 1 ? 0 : step;
      step *= size;
    }
  };
  return {"",
          [=](const RunContext& c) {
            BinaryArgs args{c.F32(a), c.F32(b), c.F32(y), static_cast<int32_t>(rank),
                            {},       {},       {},       op};
            for (size_t i = 0; i < rank; ++i) args.dims[i] = c.Size(y, i);
            fill(c, a, rank_a, args.a_strides);
            fill(c, b, rank_b, args.b_strides);
            c.Run(kernel, args);
          },
          nullptr};
}

// y, or a part of it, from x, or a part of it. Attributes: for each axis of the copied block the axis of x, then for each its first
// index in x, then in y; the block's sizes are the lesser of both.
Step LoadCopy(const StepLoader& l) {
  const int32_t x = l.AnyIn(0), y = l.AnyOut(0);
  l.Expect(l.Value(x).dtype == l.Value(y).dtype && BytesOf(l.Value(x).dtype) == 4,
           "numbers of one type of 4 bytes");
  const size_t rank = l.Rank(y);
  l.Expect(l.Rank(x) == rank, "operands of one rank");
  std::vector<size_t> axes(rank);
  std::vector<int64_t> from(rank), to(rank), fixed(rank, -1);
  for (size_t i = 0; i < rank; ++i) {
    axes[i] = static_cast<size_t>(l.Int(i, 0, static_cast<int64_t>(rank) - 1));
    const Dim dx = l.DimOf(x, axes[i]), dy = l.DimOf(y, i);
    from[i] = l.Int(rank + i, 0, dx.slot < 0 ? dx.size : 0);
    to[i] = l.Int(2 * rank + i, 0, dy.slot < 0 ? dy.size : 0);
    l.Expect(dx == dy || (dx.slot < 0 && dy.slot < 0), "sizes that fit");
    if (dx.slot < 0) fixed[i] = std::min(dx.size - from[i], dy.size - to[i]);
  }
  const Kernel<CopyArgs> kernel = l.kernels.copy;
  return {"",
          [=](const RunContext& c) {
            CopyArgs args{c.Address(x), c.Address(y), static_cast<int32_t>(rank), {}, {}, {}};
            std::vector<int64_t> strides(rank, 1);
            for (size_t i = rank; i-- > 1;) strides[i - 1] = strides[i] * c.Size(x, i);
            int64_t step = 1, skip_x = 0, skip_y = 0;
            for (size_t i = rank; i-- > 0;) {
              args.dims[i] = fixed[i] >= 0 ? fixed[i] : c.Size(y, i);
              args.x_strides[i] = strides[axes[i]];
              args.y_strides[i] = step;
              skip_x += from[i] * args.x_strides[i];
              skip_y += to[i] * step;
              step *= c.Size(y, i);
            }
            args.x = static_cast<const char*>(args.x) + skip_x * 4;
            args.y = static_cast<char*>(args.y) + skip_y * 4;
            c.Run(kernel, args);
          },
          nullptr};
}

// Attributes: the function, the axis.
Step LoadReduce(const StepLoader& l) {
  const int32_t x = l.In(0, DType::kF32), y = l.Out(0, DType::kF32);
  const ReduceOp op = static_cast<ReduceOp>(l.Int(0, 0, static_cast<int64_t>(ReduceOp::kMax)));
  const size_t rank = l.Rank(x),
               axis = static_cast<size_t>(l.Int(1, 0, static_cast<int64_t>(rank) - 1));
  l.Expect(l.Rank(y) == rank, "a result of the same rank");
  for (size_t i = 0; i < rank; ++i)
    l.Expect(l.DimOf(y, i) == (i == axis ? Dim{1, -1} : l.DimOf(x, i)), "a result of size 1 there");
  const Kernel<ReduceArgs> kernel = l.kernels.reduce;
  return {"",
          [=](const RunContext& c) {
            const Around a = AroundAxis(c, x, axis, rank);
            c.Run(kernel, ReduceArgs{c.F32(x), c.F32(y), a.outer, a.n, a.inner, op});
          },
          nullptr};
}

// Inputs v, dy; attribute: the function.
Step LoadUnaryGrad(const StepLoader& l) {
  const int32_t v = l.In(0, DType::kF32), dy = l.In(1, DType::kF32), dx = l.Out(0, DType::kF32);
  l.ExpectSameShape(v, dy);
  l.ExpectSameShape(v, dx);
  const Derivative of =
      static_cast<Derivative>(l.Int(0, 0, static_cast<int64_t>(Derivative::kRelu)));
  const Kernel<UnaryGradArgs> kernel = l.kernels.gradients->unary_grad;
  return {"",
          [=](const RunContext& c) {
            c.Run(kernel, UnaryGradArgs{c.F32(v), c.F32(dy), c.F32(dx), c.Count(v), of});
          },
          nullptr};
}

// Inputs dy, x?, y?; attributes: the function, the axis.
Step LoadReduceGrad(const StepLoader& l) {
  const int32_t dy = l.In(0, DType::kF32), x = l.Optional(1, DType::kF32),
                y = l.Optional(2, DType::kF32), dx = l.Out(0, DType::kF32);
  const ReduceOp op = static_cast<ReduceOp>(l.Int(0, 0, static_cast<int64_t>(ReduceOp::kMax)));
  const size_t rank = l.Rank(dx),
               axis = static_cast<size_t>(l.Int(1, 0, static_cast<int64_t>(rank) - 1));
  l.Expect(l.Rank(dy) == rank, "a gradient of the same rank");
  for (size_t i = 0; i < rank; ++i)
    l.Expect(l.DimOf(dy, i) == (i == axis ? Dim{1, -1} : l.DimOf(dx, i)),
             "a gradient of size 1 there");
  if (op == ReduceOp::kMax) {
    l.Expect(x >= 0 && y >= 0, "a maximum and what it is of");
    l.ExpectSameShape(x, dx);
    l.ExpectSameShape(y, dy);
  }
  const Kernel<ReduceGradArgs> kernel = l.kernels.gradients->reduce_grad;
  return {"",
          [=](const RunContext& c) {
            const Around a = AroundAxis(c, dx, axis, rank);
            c.Run(kernel, ReduceGradArgs{c.F32(dy), c.F32(x), c.F32(y), c.F32(dx), a.outer, a.n,
                                         a.inner, op});
          },
          nullptr};
}

// Attributes: the axis, how many zeros before and after.
Step LoadPad(const StepLoader& l) {
  const int32_t x = l.AnyIn(0), y = l.AnyOut(0);
  l.Expect(l.Value(x).dtype == l.Value(y).dtype && BytesOf(l.Value(x).dtype) == 4,
           "numbers of one type of 4 bytes");
  const size_t rank = l.Rank(x),
               axis = static_cast<size_t>(l.Int(0, 0, static_cast<int64_t>(rank) - 1));
  const int64_t size = l.Fixed(x, axis), wide = l.Fixed(y, axis);
  const int64_t before = l.Int(1, 0, wide), after = l.Int(2, 0, wide);
  l.Expect(l.Rank(y) == rank && before + size + after == wide, "a result so much larger");
  for (size_t i = 0; i < rank; ++i)
    l.Expect(i == axis || l.DimOf(x, i) == l.DimOf(y, i), "operands that differ there alone");
  const Kernel<PadArgs> kernel = l.kernels.pad;
  return {"",
          [=](const RunContext& c) {
            const Around a = AroundAxis(c, x, axis, rank);
            c.Run(kernel,
                  PadArgs{c.Address(x), c.Address(y), a.outer, a.n, a.inner, before, after});
          },
          nullptr};
}

// Attributes: the axis, whether the logarithm is wanted.
Step LoadSoftmax(const StepLoader& l) {
  const int32_t x = l.In(0, DType::kF32), y = l.Out(0, DType::kF32);
  l.ExpectSameShape(x, y);
  const size_t rank = l.Rank(x),
               axis = static_cast<size_t>(l.Int(0, 0, static_cast<int64_t>(rank) - 1));
  const int32_t log = static_cast<int32_t>(l.Int(1, 0, 1));
  const Kernel<SoftmaxArgs> kernel = l.kernels.softmax;
  const auto args = [=](const RunContext& c) {
    const Around a = AroundAxis(c, x, axis, rank);
    return SoftmaxArgs{c.F32(x), c.F32(y), a.outer, a.n, a.inner, log};
  };
  return {"", [=](const RunContext& c) { c.Run(kernel, args(c)); },
          [=](const RunContext& c) { return ScratchOf(kernel, args(c)); }};
}

// y[i] = x[rows[i]], numbers of any type of 4 bytes.
Step LoadGatherRows(const StepLoader& l) {
  const int32_t x = l.AnyIn(0), rows = l.In(1, DType::kI32), y = l.Out(0, l.Value(x).dtype);
  l.Expect(BytesOf(l.Value(x).dtype) == 4, "numbers of 4 bytes");
  l.Expect(l.Rank(rows) == 1 && l.Rank(x) == l.Rank(y) && l.DimOf(y, 0) == l.DimOf(rows, 0),
           "a row of y for each index");
  for (size_t i = 1; i < l.Rank(x); ++i)
    l.Expect(l.DimOf(x, i) == l.DimOf(y, i), "rows of one shape");
  l.CheckNumbers(l.Key("rows", {x, rows}), {rows}, [=](const RunContext& c) {
    for (int64_t i = 0; i < c.Count(rows); ++i) {
      if (c.I32(rows)[i] < 0 || c.I32(rows)[i] >= c.Size(x, 0))
        throw EngineError(ErrorCode::kInternal, "gather_rows: a row out of range");
    }
  });
  const Kernel<GatherArgs> kernel = l.kernels.training->gather;
  return {"",
          [=](const RunContext& c) {
            const int64_t count = c.Count(rows), width = count ? c.Count(y) / count : 0;
            c.Run(kernel, GatherArgs{c.F32(x), c.I32(rows), c.F32(y), count, width});
          },
          nullptr};
}

// Inputs w [V, C] in rows, ids [...]: a table that is no parameter.
Step LoadEmbeddingRows(const StepLoader& l) {
  const int32_t w = l.In(0, DType::kF32), ids = l.In(1, DType::kI32), y = l.Out(0, DType::kF32);
  l.ExpectNumberARow(ids, y);
  l.Expect(l.Rank(w) == 2 && l.DimOf(w, 1) == l.DimOf(y, l.Rank(y) - 1), "y as wide as the table");
  l.CheckNumbers(l.Key("rows", {w, ids}), {ids}, [=](const RunContext& c) {
    for (int64_t i = 0; i < c.Count(ids); ++i) {
      if (c.I32(ids)[i] < 0 || c.I32(ids)[i] >= c.Size(w, 0)) {
        throw EngineError(ErrorCode::kInvalidArgument,
                          "expected ids from 0 to " + std::to_string(c.Size(w, 0) - 1) + ", got " +
                              std::to_string(c.I32(ids)[i]));
      }
    }
  });
  const Kernel<GatherArgs> kernel = l.kernels.training->gather;
  return {"",
          [=](const RunContext& c) {
            c.Run(kernel, GatherArgs{c.F32(w), c.I32(ids), c.F32(y), c.Count(ids), c.Size(w, 1)});
          },
          nullptr};
}

}  // namespace triga
