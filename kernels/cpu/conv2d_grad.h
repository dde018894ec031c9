// Gradients of conv2d, see Conv2dTurnArgs and Conv2dGradWArgs in kernel_gradients.h.
//
// With respect to the picture it is the convolution of dy with turned weights, one for each residue of a pixel's row and column
// modulo the stride, so that no zeros are multiplied: conv2d.h computes it, and conv2d_turn makes the weights.
//
// With respect to the weights it is a matrix product over all pixels on the register tiles of linear.h: rows are output channels,
// columns the numbers of a kernel. What 64 of those see of about 128 pixels is unfolded in scratch memory, 16 × 16 numbers at a time:
// rows of the picture, which lie in order, then transposed. dy is copied beside it, since channels of a large picture lie a power
// of 2 apart and would share lines of the cache. Error: that of f32 sums of kConvPiece numbers, and of as many as there are pieces.
#pragma once
#include "kernels/cpu/conv2d.h"
#include "kernels/cpu/kernel_gradients.h"
#include "kernels/cpu/linear.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/simd/vec.h"

namespace triga {
namespace {

inline int64_t conv2d_turn_tiles(const Conv2dTurnArgs& a) { return a.groups * a.in; }
inline void conv2d_turn_run(const Conv2dTurnArgs& a, int64_t begin, int64_t end, void*) {
  for (int64_t channel = begin; channel < end; ++channel) {
    const int64_t group = channel / a.in, c = channel % a.in;
    float* block = a.y;
    for (int64_t r = 0; r < least(a.stride_h, a.kernel_h); ++r) {
      for (int64_t s = 0; s < least(a.stride_w, a.kernel_w); ++s) {
        const int64_t high = ceil_div(a.kernel_h - r, a.stride_h);
        const int64_t wide = ceil_div(a.kernel_w - s, a.stride_w);
        float* y = block + channel * a.out * high * wide;
        for (int64_t o = 0; o < a.out; ++o) {
          const float* w = a.w + ((group * a.out + o) * a.in + c) * a.kernel_h * a.kernel_w;
          for (int64_t i = high; i-- > 0;) {
            for (int64_t j = wide; j-- > 0;)
              *y++ = w[(r + i * a.stride_h) * a.kernel_w + s + j * a.stride_w];
          }
        }
        block += a.groups * a.in * a.out * high * wide;
      }
    }
  }
}

constexpr int64_t kPixelBlock = 128;                  // pixels that are unfolded at once
constexpr int64_t kPixelRoom = kPixelBlock + kPanel;  // whole vectors at their end

// A column of the unfolded picture: a channel, and a place in the kernel.
struct UnfoldColumn {
  int64_t plane;  // offset of the channel's plane in a picture's group; −1: no such column
  int64_t row, column;
};

// `n` pixels of an output row from `column` on, for 16 columns: to[pixel][16]. x: the group's planes.
inline void unfold_panel(const Window& w, const UnfoldColumn* columns, const float* x, int64_t row,
                         int64_t column, int64_t n, float* to) {
  for (int64_t i = 0; i < n; i += 16, to += 16 * kPanel) {
    for (int64_t q = 0; q < kPanel; ++q) {
      const UnfoldColumn& c = columns[q];
      const int64_t y = row * w.stride_h + c.row;
      if (c.plane < 0 || y < 0 || y >= w.height) {
        F32x16::zero().store(to + q * 16);
        continue;
      }
      window_row(x + c.plane + y * w.width, w.width, (column + i) * w.stride_w + c.column,
                 w.stride_w, F32x16::zero(), to + q * 16);
    }
    transpose16(reinterpret_cast<uint32_t*>(to));
  }
}

inline void conv2d_unfold_columns(const Conv2dGradWArgs& a, int64_t first, UnfoldColumn* to) {
  const Window& w = a.window;
  const int64_t per_channel = w.kernel_h * w.kernel_w;
  for (int64_t k = first; k < first + kTileCols; ++k, ++to) {
    const bool there = k < a.in * per_channel;
    *to = {there ? k / per_channel * w.height * w.width : -1, k / w.kernel_w % w.kernel_h - w.pad_h,
           k % w.kernel_w - w.pad_w};
  }
}

inline int64_t conv2d_grad_w_columns(const Conv2dGradWArgs& a) {
  return ceil_div(a.in * a.window.kernel_h * a.window.kernel_w, kTileCols);
}
inline int64_t conv2d_grad_w_tiles(const Conv2dGradWArgs& a) {
  return a.out == 0 ? 0 : a.count * a.groups * conv2d_grad_w_columns(a);
}
inline size_t conv2d_grad_w_scratch(const Conv2dGradWArgs&) {
  return (kChunkRows * kTileCols + kTilePanels * kPixelRoom * kPanel + kChunkRows * kPixelRoom) *
             sizeof(float) +
         kTileCols * sizeof(UnfoldColumn);
}

// Where a tile's work stands: a row of pixels of all pictures, a pixel in it.
struct PixelCursor {
  int64_t line, column;
};

// Unfolds the next pixels before line `end`, kPixelBlock at most and whole rows where they are
// short. Returns how many.
inline int64_t conv2d_take_pixels(const Conv2dGradWArgs& a, int64_t group, int64_t first,
                                  int64_t rows, int64_t panels, int64_t end,
                                  const UnfoldColumn* columns, PixelCursor& at, float* pixels,
                                  float* gradients) {
  const Window& w = a.window;
  int64_t taken = 0;
  while (at.line < end) {
    const int64_t left = w.out_width - at.column;
    if (taken > 0 && taken + left > kPixelBlock) break;
    const int64_t n = least(left, kPixelBlock);
    const int64_t image = at.line / w.out_height, row = at.line % w.out_height;
    const float* x = a.x + (image * a.groups + group) * a.in * w.height * w.width;
    for (int64_t p = 0; p < panels; ++p)
      unfold_panel(w, columns + p * kPanel, x, row, at.column, n,
                   pixels + (p * kPixelRoom + taken) * kPanel);
    const float* dy =
        a.dy + ((image * a.groups * a.out + first) * w.out_height + row) * w.out_width + at.column;
    for (int64_t r = 0; r < rows; ++r, dy += w.out_height * w.out_width) {
      for (int64_t i = 0; i < n; i += 16)
        load_upto(dy + i, n - i).store(gradients + r * kPixelRoom + taken + i);
    }
    taken += n;
    at.column += n;
    if (at.column == w.out_width) at = {at.line + 1, 0};
  }
  return taken;
}

// Adds sums to what earlier pieces gave, or begins with them, and leaves zeros.
inline void conv2d_flush(float* sums, int64_t rows, int64_t cols, int64_t stride, bool begin,
                         float* to) {
  for (int64_t r = 0; r < rows; ++r, sums += kTileCols, to += stride) {
    for (int64_t c = 0; c < cols; c += 16) {
      const F32x16 sum = F32x16::load(sums + c);
      store_upto(begin ? sum : load_upto(to + c, cols - c) + sum, to + c, cols - c);
      F32x16::zero().store(sums + c);
    }
  }
}

inline void conv2d_grad_w_run(const Conv2dGradWArgs& a, int64_t begin, int64_t end, void* scratch) {
  const Window& w = a.window;
  float* sums = static_cast<float*>(scratch);
  float* pixels = sums + kChunkRows * kTileCols;
  float* gradients = pixels + kTilePanels * kPixelRoom * kPanel;
  UnfoldColumn* columns = reinterpret_cast<UnfoldColumn*>(gradients + kChunkRows * kPixelRoom);
  const char* unfolded = reinterpret_cast<const char*>(pixels);
  const int64_t depth = a.in * w.kernel_h * w.kernel_w, wide = conv2d_grad_w_columns(a);
  const int64_t lines = w.out_width == 0 ? 0 : a.images * w.out_height;
  for (int64_t tile = begin; tile < end; ++tile) {
    const int64_t part = tile / (a.groups * wide), group = tile / wide % a.groups;
    const int64_t column = tile % wide * kTileCols, cols = least(kTileCols, depth - column);
    const int64_t panels = ceil_div(cols, kPanel), last = lines * (part + 1) / a.count;
    conv2d_unfold_columns(a, column, columns);
    for (int64_t r = 0, left = ceil_div(a.out, kChunkRows); left > 0; --left) {
      const int64_t rows = ceil_div(a.out - r, left), first = group * a.out + r;
      float* to = a.parts + (part * a.groups * a.out + first) * depth + column;
      for (int64_t i = 0; i < rows * kTileCols; i += kPanel) F32x16::zero().store(sums + i);
      PixelCursor at{lines * part / a.count, 0};
      int64_t piece = 0;
      bool started = false;
      do {
        const int64_t n =
            conv2d_take_pixels(a, group, first, rows, panels, last, columns, at, pixels, gradients);
        linear_rows<WeightsF32>(gradients, kPixelRoom, rows, unfolded, kPixelRoom * kPanel * 4,
                                panels, n, unfolded, sums);
        piece += n;
        if (piece < kConvPiece && at.line < last) continue;
        conv2d_flush(sums, rows, cols, depth, !started, to);
        started = true;
        piece = 0;
      } while (at.line < last);
      r += rows;
    }
  }
}

}  // namespace
}  // namespace triga
