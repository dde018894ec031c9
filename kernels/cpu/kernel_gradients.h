// Kernels of gradients: what the rules of lib/ops apply where ordinary ops would be slow. The rest of the interface between kernels
// and their callers, and what holds for all of it, is in kernel.h.
#pragma once
#include "kernels/cpu/kernel.h"

namespace triga {

// The order is shared with lib/ops/unary_grad.ts.
enum class Derivative : int32_t {
  kAbs = 0,
  kExp = 1,
  kLog = 2,
  kSqrt = 3,
  kRsqrt = 4,
  kTanh = 5,
  kErf = 6,
  kSigmoid = 7,
  kSin = 8,
  kCos = 9,
  kRelu = 10,
};

// dx = dy · fn'(x), n elements; v is x or fn(x), as lib/ops/unary_grad.ts says. Tiles: chunks.
struct UnaryGradArgs {
  const float* v;
  const float* dy;
  float* dx;
  int64_t n;
  Derivative of;
};

// Gradient of a reduction over the middle axis of x[outer, n, inner]: of a sum dy[outer, inner] for each element; of a maximum y
// dy in equal parts for the elements that are y, 0 for the others. x and y may be null for a sum. Tiles: chunks of outer, of as
// many columns.
struct ReduceGradArgs {
  const float* dy;
  const float* x;
  const float* y;  // [outer, inner]
  float* dx;
  int64_t outer, n, inner;
  ReduceOp op;
};

// Weights of a convolution as those of the convolutions that make up its gradient with respect to the picture. The pixels of x at
// rows ≡ r − pad_h and columns ≡ c − pad_w modulo the stride meet the rows r, r + stride_h, … and columns c, c + stride_w, … of the
// kernel alone: for each (r, c), row by row, y has [groups · in, out, those rows, those columns], turned by 180°. Tiles: channels.
struct Conv2dTurnArgs {
  const float* w;  // [groups · out, in, kernel_h, kernel_w]
  float* y;        // as many numbers
  int64_t groups, in, out, kernel_h, kernel_w, stride_h, stride_w;
};

// parts[p, o, k] = Σ dy[n, o] · x under the window, k = (channel of o's group, row, column of the kernel), over the p-th of equal
// parts of the rows of all pictures of dy. A part is summed in pieces of kConvPiece places or a little more, f32 FMA chains which
// are then added in order: the sizes alone decide the bits. Tiles: parts, groups, 64 k.
struct Conv2dGradWArgs {
  const float* x;   // [images, groups · in, height, width]
  const float* dy;  // [images, groups · out, out_height, out_width]
  float* parts;     // [count, groups · out, in · kernel_h · kernel_w]
  int64_t images, groups, in, out;
  Window window;
  int64_t count;
};
constexpr int64_t kConvPiece = 1024;

// dx of Pool2dArgs: for a mean, dy / (kernel_h · kernel_w) to all under the window; for a maximum y, dy to the first x under it, row
// by row, that is y (NaN: the first NaN). Sums in the order of windows. x and y may be null for a mean. Tiles: planes.
struct Pool2dGradArgs {
  const float* dy;  // [planes, out_height, out_width]
  const float* x;   // [planes, height, width]
  const float* y;   // as dy
  float* dx;        // as x
  int64_t planes;
  Window window;
  PoolOp op;
};

// Gradients of GroupNormArgs, see lib/ops/group_norm_grad.ts. Sums run in an order that depends on the sizes alone. Tiles: groups of
// a picture.
struct GroupNormGradArgs {
  const float* x;  // [images, groups, channels, pixels]
  const float* weight;
  const float* dy;  // as x
  float* dx;        // as x
  float* dweight;   // [images, groups, channels]
  float* dbias;
  int64_t images, groups, channels, pixels;
  float eps;
};

struct GradientKernels {
  Kernel<UnaryGradArgs> unary_grad;
  Kernel<ReduceGradArgs> reduce_grad;
  Kernel<Conv2dTurnArgs> conv2d_turn;
  Kernel<Conv2dGradWArgs> conv2d_grad_w;
  Kernel<Pool2dGradArgs> pool2d_grad;
  Kernel<GroupNormGradArgs> group_norm_grad;
};

}  // namespace triga
