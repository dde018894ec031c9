// Steps of gradients over pictures [N, C, H, W]: convolution, pooling, group norm.
#include <algorithm>

#include "kernels/cpu/kernel_gradients.h"
#include "native/error.h"
#include "native/plan.h"
#include "native/window_step.h"

namespace triga {
namespace {

// The pixels of x at rows ≡ top and columns ≡ left modulo the stride: the convolution of dy with a part of the kernel.
struct Residue {
  Window window;
  Grid grid;
  int64_t
      weights;  // where the part begins among the turned weights, in numbers of a pair of channels
};

// Numbers of a kernel of `size` at `first`, `first` + stride, …
int64_t PartOf(int64_t size, int64_t first, int64_t stride) {
  return first < size ? (size - first + stride - 1) / stride : 0;
}

Residue ResidueOf(const Window& w, int64_t top, int64_t left) {
  const int64_t r = (top + w.pad_h) % w.stride_h, s = (left + w.pad_w) % w.stride_w;
  const int64_t high = PartOf(w.kernel_h, r, w.stride_h), wide = PartOf(w.kernel_w, s, w.stride_w);
  int64_t rows_before = 0, columns_before = 0;
  for (int64_t i = 0; i < std::min(r, w.kernel_h); ++i)
    rows_before += PartOf(w.kernel_h, i, w.stride_h);
  for (int64_t j = 0; j < std::min(s, w.kernel_w); ++j)
    columns_before += PartOf(w.kernel_w, j, w.stride_w);
  Window part{};
  part.height = w.out_height;
  part.width = w.out_width;
  part.out_height = (w.height - top + w.stride_h - 1) / w.stride_h;
  part.out_width = (w.width - left + w.stride_w - 1) / w.stride_w;
  part.kernel_h = high;
  part.kernel_w = wide;
  part.stride_h = part.stride_w = 1;
  part.pad_h = high - 1 - (top + w.pad_h) / w.stride_h;
  part.pad_w = wide - 1 - (left + w.pad_w) / w.stride_w;
  return {part,
          {w.height, w.width, top, left, w.stride_h, w.stride_w},
          rows_before * w.kernel_w + high * columns_before};
}

}  // namespace

// Inputs dy, w; outputs dx, room for the weights; attributes: stride and padding, height before width, groups.
Step LoadConv2dGradX(const StepLoader& l) {
  const int32_t dy = l.In(0, DType::kF32), weight = l.In(1, DType::kF32);
  const int32_t dx = l.Out(0, DType::kF32), turned = l.Out(1, DType::kF32);
  l.Expect(l.Rank(weight) == 4, "a kernel of four axes");
  l.ExpectSameShape(turned, weight);
  const WindowStep window(l, dx, dy, l.Fixed(weight, 2), l.Fixed(weight, 3), 0);
  const int64_t groups = l.Int(4, 1, kMaxWindow);
  const int64_t out = l.Fixed(weight, 0), in = l.Fixed(weight, 1);
  l.Expect(out % groups == 0 && l.Fixed(dx, 1) == groups * in && l.Fixed(dy, 1) == out,
           "channels in as many groups as the kernel has");
  const Kernel<Conv2dTurnArgs> turn = l.kernels.gradients->conv2d_turn;
  const Kernel<Conv2dArgs> kernel = l.kernels.conv2d;
  const auto args = [=](const RunContext& c, const Residue& r) {
    // A part without numbers gives 0: a convolution without channels.
    const bool empty = r.window.kernel_h * r.window.kernel_w == 0;
    Window w = r.window;
    if (empty) w.kernel_h = w.kernel_w = 1;
    const float* weights = c.F32(turned) + (empty ? 0 : r.weights * in * out);
    return Conv2dArgs{c.F32(dy), weights,
                      nullptr,   nullptr,
                      c.F32(dx), c.Size(dy, 0),
                      groups,    empty ? 0 : out / groups,
                      in,        w,
                      r.grid,    Activation::kNone};
  };
  return {"",
          [=](const RunContext& c) {
            const Window w = window.At(c, "conv2d_grad_x");
            c.Run(turn, Conv2dTurnArgs{c.F32(weight), c.F32(turned), groups, in, out / groups,
                                       w.kernel_h, w.kernel_w, w.stride_h, w.stride_w});
            for (int64_t top = 0; top < std::min(w.stride_h, w.height); ++top) {
              for (int64_t left = 0; left < std::min(w.stride_w, w.width); ++left)
                c.Run(kernel, args(c, ResidueOf(w, top, left)));
            }
          },
          // Scratch memory depends on no size of a picture, but on those of a part of the kernel.
          [=](const RunContext& c) {
            const Window& w = window.shape();
            size_t most = 0;
            for (int64_t r = 0; r < std::min(w.stride_h, w.kernel_h); ++r) {
              for (int64_t s = 0; s < std::min(w.stride_w, w.kernel_w); ++s) {
                Residue part{};
                part.window.kernel_h = PartOf(w.kernel_h, r, w.stride_h);
                part.window.kernel_w = PartOf(w.kernel_w, s, w.stride_w);
                part.window.stride_h = part.window.stride_w = 1;
                most = std::max(most, ScratchOf(kernel, args(c, part)));
              }
            }
            return most;
          }};
}

// Inputs x, dy; outputs dw, room [parts, ...dw], of which so many are used as there are pieces; attributes: stride and padding, height
// before width, groups.
Step LoadConv2dGradW(const StepLoader& l) {
  const int32_t x = l.In(0, DType::kF32), dy = l.In(1, DType::kF32);
  const int32_t dw = l.Out(0, DType::kF32), parts = l.Out(1, DType::kF32);
  l.Expect(l.Rank(dw) == 4 && l.Rank(parts) == 5, "a kernel of four axes, and parts of it");
  for (size_t i = 0; i < 4; ++i)
    l.Expect(l.Fixed(dw, i) == l.Fixed(parts, i + 1), "parts of the kernel's shape");
  const WindowStep window(l, x, dy, l.Fixed(dw, 2), l.Fixed(dw, 3), 0);
  const int64_t groups = l.Int(4, 1, kMaxWindow), count = l.Fixed(parts, 0);
  const int64_t out = l.Fixed(dw, 0), in = l.Fixed(dw, 1);
  l.Expect(count >= 1 && out % groups == 0 && l.Fixed(x, 1) == groups * in && l.Fixed(dy, 1) == out,
           "channels in as many groups as the kernel has");
  const Kernel<Conv2dGradWArgs> kernel = l.kernels.gradients->conv2d_grad_w;
  const Kernel<ReduceArgs> reduce = l.kernels.reduce;
  const auto args = [=](const RunContext& c, const Window& w) {
    const int64_t pieces = c.Size(x, 0) * w.out_height * w.out_width / kConvPiece;
    return Conv2dGradWArgs{c.F32(x),     c.F32(dy), c.F32(parts),
                           c.Size(x, 0), groups,    in,
                           out / groups, w,         std::clamp<int64_t>(pieces, 1, count)};
  };
  return {"",
          [=](const RunContext& c) {
            const Conv2dGradWArgs a = args(c, window.At(c, "conv2d_grad_w"));
            c.Run(kernel, a);
            c.Run(reduce, ReduceArgs{a.parts, c.F32(dw), 1, a.count, c.Count(dw), ReduceOp::kSum});
          },
          [=](const RunContext& c) { return ScratchOf(kernel, args(c, window.shape())); }};
}

// Inputs dy, x?, y?; attributes: the function, kernel, stride and padding, height before width.
Step LoadPool2dGrad(const StepLoader& l) {
  const int32_t dy = l.In(0, DType::kF32), x = l.Optional(1, DType::kF32),
                y = l.Optional(2, DType::kF32), dx = l.Out(0, DType::kF32);
  const PoolOp op = static_cast<PoolOp>(l.Int(0, 0, static_cast<int64_t>(PoolOp::kMean)));
  const WindowStep window(l, dx, dy, l.Int(1, 1, kMaxWindow), l.Int(2, 1, kMaxWindow), 3);
  l.Expect(l.DimOf(dx, 1) == l.DimOf(dy, 1), "a plane for each channel");
  if (op == PoolOp::kMax) {
    l.Expect(x >= 0 && y >= 0, "the greatest numbers and what they are of");
    l.ExpectSameShape(x, dx);
    l.ExpectSameShape(y, dy);
  }
  const Kernel<Pool2dGradArgs> kernel = l.kernels.gradients->pool2d_grad;
  return {"",
          [=](const RunContext& c) {
            c.Run(kernel,
                  Pool2dGradArgs{c.F32(dy), c.F32(x), c.F32(y), c.F32(dx),
                                 c.Size(dy, 0) * c.Size(dy, 1), window.At(c, "pool2d_grad"), op});
          },
          nullptr};
}

// Inputs x, weight, dy; outputs dx, dweight, dbias; attributes: groups, eps.
Step LoadGroupNormGrad(const StepLoader& l) {
  const int32_t x = l.In(0, DType::kF32), weight = l.In(1, DType::kF32), dy = l.In(2, DType::kF32);
  const int32_t dx = l.Out(0, DType::kF32), dweight = l.Out(1, DType::kF32),
                dbias = l.Out(2, DType::kF32);
  l.ExpectSameShape(x, dy);
  l.ExpectSameShape(x, dx);
  const int64_t channels = l.Fixed(x, 1), groups = l.Int(0, 1, kMaxWindow);
  l.Expect(channels % groups == 0, "channels in whole groups");
  l.Expect(l.Rank(weight) == 1 && l.Fixed(weight, 0) == channels, "a number for each channel");
  for (const int32_t v : {dweight, dbias})
    l.Expect(l.Rank(v) == 2 && l.DimOf(v, 0) == l.DimOf(x, 0) && l.Fixed(v, 1) == channels,
             "a number for each channel of each picture");
  const float eps = static_cast<float>(l.Attr(1));
  const size_t rank = l.Rank(x);
  const Kernel<GroupNormGradArgs> kernel = l.kernels.gradients->group_norm_grad;
  return {"",
          [=](const RunContext& c) {
            int64_t pixels = 1;
            for (size_t i = 2; i < rank; ++i) pixels *= c.Size(x, i);
            c.Run(kernel, GroupNormGradArgs{c.F32(x), c.F32(weight), c.F32(dy), c.F32(dx),
                                            c.F32(dweight), c.F32(dbias), c.Size(x, 0), groups,
                                            channels / groups, pixels, eps});
          },
          nullptr};
}

}  // namespace triga
