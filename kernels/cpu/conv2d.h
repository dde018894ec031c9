// y = act(conv2d(x, w) + bias + residual), see Conv2dArgs in kernel.h.
//
// An implicit matrix product on the tiles of linear.h: rows are output channels, columns pixels, and
// where linears read panels of weights, a convolution reads 16 pixels of a row at the place that each
// k has: the picture is never unfolded. A tile is 16 columns of four rows. What it sees of a block of
// channels is copied to scratch memory first, with its margins of 0, and stays in L1 while all output
// channels walk over it; of a stride s, columns s apart lie side by side. Sums stand beside it until
// all channels have gone by. Weights are rows of f32, whose numbers a tile broadcasts. Each output is
// one chain over ascending k, whichever register tile computes it. Pixels past the end of a row are
// computed and never stored. Error: that of an f32 sum in order.
#pragma once
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/linear.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/simd/vec.h"

namespace triga {
namespace {

// 16 numbers of a picture's row of `width`, `stride` apart, the first at `at`; `outside` where the
// row has none.
TRIGA_INLINE void window_row(const float* row, int64_t width, int64_t at, int64_t stride,
                             F32x16 outside, float* to) {
  if (stride == 1 && at >= 0 && at + 16 <= width) return F32x16::load(row + at).store(to);
  outside.store(to);
  if (stride == 1) {
    const int64_t lead = most(-at, 0), n = least(width - at, 16) - lead;
    if (n > 0) F32x16::load(row + at + lead, n).store(to + lead, n);
    return;
  }
  const int64_t first = at < 0 ? ceil_div(-at, stride) : 0;
  const int64_t last = at < width ? least(ceil_div(width - at, stride), 16) : 0;
  for (int64_t i = first; i < last; ++i) to[i] = row[at + i * stride];
}

// How a tile's copy of the picture lies: [channel][row][phase][column], phase = column mod stride.
struct ConvCopy {
  int64_t rows, phases, columns;
  int64_t channels;  // of a block
  int64_t row() const { return phases * columns; }
  int64_t channel() const { return rows * row(); }
};

inline ConvCopy conv_copy_of(const Conv2dArgs& a) {
  const Window& w = a.window;
  ConvCopy c{(kTilePanels - 1) * w.stride_h + w.kernel_h, least(w.stride_w, w.kernel_w),
             ceil_div(kPanel + (w.kernel_w - 1) / w.stride_w, 16) * 16, 1};
  const int64_t most_channels = most(1, kBlockBytes / 4 / c.channel());
  c.channels = ceil_div(a.in, most(1, ceil_div(a.in, most_channels)));  // as even as they come
  return c;
}

// The channels of the picture, from x on, that the tile at (row, column) of y sees.
inline void conv_copy(const Window& w, const ConvCopy& c, const float* x, int64_t channels,
                      int64_t row, int64_t column, float* to) {
  for (int64_t i = 0; i < channels * c.rows; ++i, to += c.row()) {
    const int64_t y = row * w.stride_h - w.pad_h + i % c.rows;
    if (y < 0 || y >= w.height) {
      for (int64_t j = 0; j < c.row(); j += 16) F32x16::zero().store(to + j);
      continue;
    }
    const float* from = x + (i / c.rows * w.height + y) * w.width;
    for (int64_t j = 0; j < c.row(); j += 16) {
      const int64_t at = (column + j % c.columns) * w.stride_w + j / c.columns - w.pad_w;
      window_row(from, w.width, at, w.stride_w, F32x16::zero(), to + j);
    }
  }
}

// Where each k of a block of channels lies in the copy, in bytes.
inline void conv_offsets(const Window& w, const ConvCopy& c, int32_t* to) {
  for (int64_t i = 0; i < c.channels; ++i) {
    for (int64_t ky = 0; ky < w.kernel_h; ++ky) {
      for (int64_t kx = 0; kx < w.kernel_w; ++kx) {
        const int64_t at = i * c.channel() + ky * c.row() + kx % w.stride_w * c.columns;
        *to++ = static_cast<int32_t>((at + kx / w.stride_w) * 4);
      }
    }
  }
}

// Output channels [first, first + rows) of the tile at (row, column).
template <class F>
TRIGA_INLINE void conv_store(const Conv2dArgs& a, int64_t image, int64_t first, int64_t rows,
                             int64_t row, int64_t column, const float* sums, F activate) {
  const Window& w = a.window;
  const Grid& g = a.grid;
  const int64_t n = w.out_width - column, panels = least(kTilePanels, w.out_height - row);
  for (int64_t r = 0; r < rows; ++r, sums += kTileCols) {
    const int64_t plane = (image * a.groups * a.out + first + r) * g.height + g.top;
    const F32x16 bias = F32x16::set(a.bias ? a.bias[first + r] : 0.0f);
    for (int64_t p = 0; p < panels; ++p) {
      const int64_t at = (plane + (row + p) * g.step_h) * g.width + g.left + column * g.step_w;
      F32x16 v = F32x16::load(sums + p * kPanel);
      if (a.bias) v = v + bias;
      if (a.residual) v = v + load_upto(a.residual + at, n);
      v = activate(v);
      if (g.step_w == 1) {
        store_upto(v, a.y + at, n);
        continue;
      }
      alignas(64) float t[16];
      v.store(t);
      for (int64_t i = 0; i < least(n, 16); ++i) a.y[at + i * g.step_w] = t[i];
    }
  }
}

// Scratch memory: sums, a block's copy, its offsets.
inline size_t conv2d_scratch(const Conv2dArgs& a) {
  const ConvCopy c = conv_copy_of(a);
  const int64_t depth = a.window.kernel_h * a.window.kernel_w;
  return static_cast<size_t>(kChunkRows * kTileCols + c.channels * (c.channel() + depth)) * 4;
}

inline int64_t conv2d_tiles(const Conv2dArgs& a) {
  return a.groups * a.out == 0 ? 0
                               : a.images * ceil_div(a.window.out_height, kTilePanels) *
                                     ceil_div(a.window.out_width, kPanel);
}

inline void conv2d_run(const Conv2dArgs& a, int64_t begin, int64_t end, void* scratch) {
  const Window& w = a.window;
  const ConvCopy c = conv_copy_of(a);
  float* sums = static_cast<float*>(scratch);
  float* copy = sums + kChunkRows * kTileCols;
  int32_t* offsets = reinterpret_cast<int32_t*>(copy + c.channels * c.channel());
  conv_offsets(w, c, offsets);
  const char* pixels = reinterpret_cast<const char*>(copy);
  const int64_t per_channel = w.kernel_h * w.kernel_w, depth = a.in * per_channel;
  const int64_t wide = ceil_div(w.out_width, kPanel), high = ceil_div(w.out_height, kTilePanels);
  for (int64_t tile = begin; tile < end; ++tile) {
    const int64_t image = tile / (wide * high);
    const int64_t row = tile / wide % high * kTilePanels, column = tile % wide * kPanel;
    const int64_t panels = least(kTilePanels, w.out_height - row);
    for (int64_t group = 0; group < a.groups; ++group) {
      const float* x = a.x + (image * a.groups + group) * a.in * w.height * w.width;
      for (int64_t r = 0, left = ceil_div(a.out, kChunkRows); left > 0; --left) {
        const int64_t rows = ceil_div(a.out - r, left), first = group * a.out + r;
        for (int64_t i = 0; i < rows * kTileCols; i += kPanel) F32x16::zero().store(sums + i);
        for (int64_t channel = 0; channel < a.in; channel += c.channels) {
          const int64_t channels = least(c.channels, a.in - channel);
          conv_copy(w, c, x + channel * w.height * w.width, channels, row, column, copy);
          linear_rows<PixelsF32>(a.w + first * depth + channel * per_channel, depth, rows, pixels,
                                 w.stride_h * c.row() * 4, panels, channels * per_channel, pixels,
                                 sums, offsets);
        }
        with_activation(a.activation,
                        [&](auto f) { conv_store(a, image, first, rows, row, column, sums, f); });
        r += rows;
      }
    }
  }
}

}  // namespace
}  // namespace triga
