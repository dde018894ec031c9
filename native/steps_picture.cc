// Steps over pictures [N, C, H, W]: convolution, pooling, upsampling, group norm.
#include "native/error.h"
#include "native/plan.h"
#include "native/window_step.h"

namespace triga {

// Inputs x, w, bias?, residual?; attributes: stride and padding, height before width, groups, activation.
Step LoadConv2d(const StepLoader& l) {
  const int32_t x = l.In(0, DType::kF32), weight = l.In(1, DType::kF32);
  const int32_t bias = l.Optional(2, DType::kF32), residual = l.Optional(3, DType::kF32);
  const int32_t y = l.Out(0, DType::kF32);
  l.Expect(l.Rank(weight) == 4, "a kernel of four axes");
  const WindowStep window(l, x, y, l.Fixed(weight, 2), l.Fixed(weight, 3), 0);
  const int64_t groups = l.Int(4, 1, kMaxWindow);
  const int64_t out = l.Fixed(weight, 0), in = l.Fixed(weight, 1);
  l.Expect(out % groups == 0 && l.Fixed(x, 1) == groups * in && l.Fixed(y, 1) == out,
           "channels in as many groups as the kernel has");
  if (bias >= 0) l.Expect(l.Rank(bias) == 1 && l.Fixed(bias, 0) == out, "a bias for each channel");
  if (residual >= 0) l.ExpectSameShape(residual, y);
  const Activation activation =
      static_cast<Activation>(l.Int(5, 0, static_cast<int64_t>(Activation::kSigmoid)));
  const Kernel<Conv2dArgs> kernel = l.kernels.conv2d;
  const auto args = [=](const RunContext& c, const Window& w) {
    return Conv2dArgs{c.F32(x),     c.F32(weight), c.F32(bias), c.F32(residual), c.F32(y),
                      c.Size(x, 0), groups,        in,          out / groups,    w,
                      GridOf(w),    activation};
  };
  return {"", [=](const RunContext& c) { c.Run(kernel, args(c, window.At(c, "conv2d"))); },
          // Scratch memory depends on no size of a picture.
          [=](const RunContext& c) { return ScratchOf(kernel, args(c, window.shape())); }};
}

// Attributes: the function, kernel, stride and padding, height before width.
Step LoadPool2d(const StepLoader& l) {
  const int32_t x = l.In(0, DType::kF32), y = l.Out(0, DType::kF32);
  const PoolOp op = static_cast<PoolOp>(l.Int(0, 0, static_cast<int64_t>(PoolOp::kMean)));
  const WindowStep window(l, x, y, l.Int(1, 1, kMaxWindow), l.Int(2, 1, kMaxWindow), 3);
  l.Expect(l.DimOf(x, 1) == l.DimOf(y, 1), "a plane for each channel");
  const Kernel<Pool2dArgs> kernel = l.kernels.pool2d;
  return {"",
          [=](const RunContext& c) {
            c.Run(kernel, Pool2dArgs{c.F32(x), c.F32(y), c.Size(x, 0) * c.Size(x, 1),
                                     window.At(c, "pool2d"), op});
          },
          nullptr};
}

// Attribute: the scale.
Step LoadUpsample2d(const StepLoader& l) {
  const int32_t x = l.In(0, DType::kF32), y = l.Out(0, DType::kF32);
  const int64_t scale = l.Int(0, 1, kMaxWindow);
  l.Expect(l.Rank(x) == 4 && l.Rank(y) == 4, "pictures of four axes");
  l.Expect(l.DimOf(x, 0) == l.DimOf(y, 0) && l.DimOf(x, 1) == l.DimOf(y, 1),
           "a plane for each plane of x");
  for (size_t axis : {2, 3}) {
    const Dim from = l.DimOf(x, axis), to = l.DimOf(y, axis);
    if (from.slot < 0 && to.slot < 0)
      l.Expect(to.size == from.size * scale, "a picture so many times as large");
  }
  const Kernel<Upsample2dArgs> kernel = l.kernels.upsample2d;
  return {"",
          [=](const RunContext& c) {
            const int64_t height = c.Size(x, 2), width = c.Size(x, 3);
            if (c.Size(y, 2) != height * scale || c.Size(y, 3) != width * scale)
              FailSize("upsample2d");
            c.Run(kernel, Upsample2dArgs{c.F32(x), c.F32(y), c.Size(x, 0) * c.Size(x, 1), height,
                                         width, scale});
          },
          nullptr};
}

// Inputs x, weight, bias; attributes: groups, eps.
Step LoadGroupNorm(const StepLoader& l) {
  const int32_t x = l.In(0, DType::kF32), weight = l.In(1, DType::kF32),
                bias = l.In(2, DType::kF32), y = l.Out(0, DType::kF32);
  l.ExpectSameShape(x, y);
  const int64_t channels = l.Fixed(x, 1), groups = l.Int(0, 1, kMaxWindow);
  l.Expect(channels % groups == 0, "channels in whole groups");
  for (const int32_t v : {weight, bias})
    l.Expect(l.Rank(v) == 1 && l.Fixed(v, 0) == channels, "a number for each channel");
  const float eps = static_cast<float>(l.Attr(1));
  const size_t rank = l.Rank(x);
  const Kernel<GroupNormArgs> kernel = l.kernels.group_norm;
  return {"",
          [=](const RunContext& c) {
            int64_t pixels = 1;
            for (size_t i = 2; i < rank; ++i) pixels *= c.Size(x, i);
            c.Run(kernel, GroupNormArgs{c.F32(x), c.F32(weight), c.F32(bias), c.F32(y),
                                        c.Size(x, 0), groups, channels / groups, pixels, eps});
          },
          nullptr};
}

}  // namespace triga
