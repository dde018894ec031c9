// Small products over operands in scratch memory, on the register tiles of the linears: y (+)= x · w. Each output is one f32 FMA
// chain over ascending steps, from 0 or from what y holds, whatever the tile.
#pragma once
#include "kernels/cpu/math.h"
#include "kernels/cpu/simd/vec.h"

namespace triga {
namespace {

// x(r, s) is x[r · x_stride + s], or of a transposed x, x[s · x_stride + r]; w(s, c) is w[s · w_step + c / 16 · w_panel + c % 16].
struct Product {
  const float* x;
  int64_t x_stride;
  const float* w;
  int64_t w_step, w_panel;
  float* y;
  int64_t y_stride;
};

template <bool kTransposed, int R, int P>
void product_tile(const Product& p, int64_t row, int64_t panel, int64_t steps, bool add) {
  const int64_t x_stride = p.x_stride, w_step = p.w_step, w_panel = p.w_panel;
  const float* x = p.x + (kTransposed ? row : row * x_stride);
  const float* w = p.w + panel * w_panel;
  float* y = p.y + row * p.y_stride + panel * 16;
  F32x16 acc[R][P];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int c = 0; c < P; ++c)
      acc[r][c] = add ? F32x16::load(y + r * p.y_stride + c * 16) : F32x16::zero();
  }
  for (int64_t s = 0; s < steps; ++s) {
    F32x16 v[P];
#pragma GCC unroll 4
    for (int c = 0; c < P; ++c) v[c] = F32x16::load(w + c * w_panel);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const F32x16 a = F32x16::set(kTransposed ? x[r] : x[r * x_stride]);
#pragma GCC unroll 4
      for (int c = 0; c < P; ++c) acc[r][c] = fma(a, v[c], acc[r][c]);
    }
    x += kTransposed ? x_stride : 1;
    w += w_step;
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int c = 0; c < P; ++c) acc[r][c].store(y + r * p.y_stride + c * 16);
  }
}

// Register tiles by rows: whole = as many vectors as the registers hold, single = one.
struct ProductTiles {
  void (*whole[13])(const Product&, int64_t, int64_t, int64_t, bool);
  void (*single[13])(const Product&, int64_t, int64_t, int64_t, bool);
};
template <bool kTransposed, int R>
constexpr void list_products(ProductTiles& t) {
  if constexpr (R > 0) {
    t.whole[R] = product_tile<kTransposed, R, tile_panels(R)>;
    t.single[R] = product_tile<kTransposed, R, 1>;
    list_products<kTransposed, R - 1>(t);
  }
}
template <bool kTransposed>
constexpr ProductTiles make_products() {
  ProductTiles t{};
  list_products<kTransposed, kMaxTileRows>(t);
  return t;
}

// y[rows, panels · 16] = or += x · w over `steps`.
template <bool kTransposed>
void product(const Product& p, int64_t rows, int64_t panels, int64_t steps, bool add) {
  static constexpr ProductTiles kTiles = make_products<kTransposed>();
  for (int64_t r = 0, left = ceil_div(rows, kMaxTileRows); left > 0; --left) {
    const int64_t n = ceil_div(rows - r, left), wide = tile_panels(static_cast<int>(n));
    for (int64_t c = 0, width; c < panels; c += width) {
      const bool whole = c + wide <= panels;
      width = whole ? wide : 1;
      (whole ? kTiles.whole : kTiles.single)[n](p, r, c, steps, add);
    }
    r += n;
  }
}

}  // namespace
}  // namespace triga
