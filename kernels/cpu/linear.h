// y[r, :] = act(x[r, :] · Wᵀ + bias) (+ residual), see LinearArgs in kernel.h.
//
// A tile is four panels (64 columns; gated: 32 outputs with their gates). Sums stand in scratch
// memory while k goes by in blocks, which reload the same accumulators: each output is one chain
// over ascending k, whichever register tile computes it. Rows of one register tile: each panel is
// streamed through once, as the memory sees it best. More: blocks of a panel stay in L1 while the
// rows walk over them, and each register tile fetches its share of the next block, so that the
// memory is never idle. Above kDirectRows, f16 and bf16 are widened into scratch memory. Rows and
// columns that do not exist are never read or written: a register tile has just the rows there are,
// and panels are whole. Error: that of an f32 sum in order, k · 2^−24 · Σ|x w|.
#pragma once
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/simd/dot_bf16.h"
#include "kernels/cpu/simd/vec.h"

namespace triga {
namespace {

// How a step reads weights: kStep of k at once from kBytes of a panel; accumulate() adds x's value
// number u of the step.
struct WeightsF32 {
  using X = float;
  static constexpr bool kWiden = false;
  static constexpr bool kGathered = false;
  static constexpr int kStep = 1, kParts = 1;
  static constexpr int64_t kBytes = 64;
  static TRIGA_INLINE F32x16 load(const char* w, int) {
    return F32x16::load(reinterpret_cast<const float*>(w));
  }
};
struct WeightsF16 {
  using X = float;
  static constexpr bool kWiden = true;
  static constexpr bool kGathered = false;
  static constexpr int kStep = 1, kParts = 1;
  static constexpr int64_t kBytes = 32;
  static TRIGA_INLINE F32x16 load(const char* w, int) {
    return load_f16(reinterpret_cast<const uint16_t*>(w));
  }
};
struct WeightsBF16 {
  using X = float;
  static constexpr bool kWiden = true;
  static constexpr bool kGathered = false;
  static constexpr int kStep = 2, kParts = 2;
  static constexpr int64_t kBytes = 64;
  static TRIGA_INLINE F32x16 load(const char* w, int part) {
    const uint16_t* p = reinterpret_cast<const uint16_t*>(w);
    return part == 0 ? load_bf16_even(p) : load_bf16_odd(p);
  }
};
struct WeightsBF16Dot {
  using X = uint16_t;
  static constexpr bool kWiden = false;
  static constexpr bool kGathered = false;
  static constexpr int kStep = 2, kParts = 1;
  static constexpr int64_t kBytes = 64;
};

constexpr int64_t kTilePanels = 4;
constexpr int64_t kTileCols = kTilePanels * kPanel;
constexpr int64_t kChunkRows = 120;     // rows whose sums stand in scratch memory at once
constexpr int64_t kStreamRows = 32;     // up to so many, panels are streamed one after the other
constexpr int64_t kBlockBytes = 16384;  // of panels, in L1 while rows walk over it
constexpr int64_t kPrefetchBytes = 2048;
static_assert(kDirectRows >= kMaxTileRows, "what is widened is cut into blocks of scratch memory");

// What a convolution multiplies with: no weights but pixels, of which each step has a place of its
// own.
struct PixelsF32 : WeightsF32 {
  static constexpr bool kGathered = true;
};

// Panels as a tile reads them, and what it fetches on the way: at each step the line of `next`,
// which moves by `next_step` bytes, and those as far into the other panels.
struct Panels {
  const char* w;
  int64_t bytes;  // from a panel to the next
  const char* next;
  int64_t next_step;
  // Gathered: where each step lies, in bytes from w; nothing is fetched.
  const int32_t* offsets = nullptr;
};

// `steps` steps for R rows and P panels: sums[r][p · 16 …] += x · panel.
template <class Weights, int R, int P>
void linear_tile(const typename Weights::X* x, int64_t x_stride, const Panels& panels,
                 int64_t steps, float* sums) {
  const char* w = panels.w;
  const char* next = panels.next;
  const int64_t panel_bytes = panels.bytes, next_step = panels.next_step;
  F32x16 acc[R][P];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p < P; ++p) acc[r][p] = F32x16::load(sums + r * kTileCols + p * kPanel);
  }
  for (int64_t s = 0; s < steps; ++s) {
    if constexpr (Weights::kGathered) {
      w = panels.w + panels.offsets[s];
    } else {
#pragma GCC unroll 4
      for (int p = 0; p < P; ++p) prefetch(next + p * panel_bytes);
      next += next_step;
    }
    if constexpr (sizeof(typename Weights::X) == 2) {
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
        for (int p = 0; p < P; ++p) {
          const uint16_t* panel = reinterpret_cast<const uint16_t*>(w + p * panel_bytes);
          acc[r][p] = dot_bf16(acc[r][p], x + r * x_stride, panel);
        }
      }
    } else {
#pragma GCC unroll 2
      for (int u = 0; u < Weights::kParts; ++u) {
        F32x16 panel[P];
#pragma GCC unroll 4
        for (int p = 0; p < P; ++p) panel[p] = Weights::load(w + p * panel_bytes, u);
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
          const F32x16 a = F32x16::set(x[r * x_stride + u]);
#pragma GCC unroll 4
          for (int p = 0; p < P; ++p) acc[r][p] = fma(a, panel[p], acc[r][p]);
        }
      }
    }
    x += Weights::kStep;
    w += Weights::kBytes;
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p < P; ++p) acc[r][p].store(sums + r * kTileCols + p * kPanel);
  }
}

template <class Weights>
using LinearTile = void (*)(const typename Weights::X*, int64_t, const Panels&, int64_t, float*);

// Register tiles by rows: whole = as many panels as the registers hold, single = one.
template <class Weights>
struct LinearTiles {
  LinearTile<Weights> whole[13], single[13];
};

template <class Weights, int R>
constexpr void list_tiles(LinearTiles<Weights>& t) {
  if constexpr (R > 0) {
    t.whole[R] = linear_tile<Weights, R, tile_panels(R)>;
    t.single[R] = linear_tile<Weights, R, 1>;
    list_tiles<Weights, R - 1>(t);
  }
}
template <class Weights>
constexpr LinearTiles<Weights> make_tiles() {
  LinearTiles<Weights> t{};
  list_tiles<Weights, kMaxTileRows>(t);
  return t;
}

// The last k of bf16 pairs with f32 activations and an odd k: x has no partner for the pair's
// second weight.
inline void linear_odd_k(const float* x, int64_t x_stride, int64_t rows, const char* w,
                         int64_t panel_bytes, int64_t panels, float* sums) {
  for (int64_t p = 0; p < panels; ++p) {
    const F32x16 panel = WeightsBF16::load(w + p * panel_bytes, 0);
    for (int64_t r = 0; r < rows; ++r) {
      float* sum = sums + r * kTileCols + p * kPanel;
      fma(F32x16::set(x[r * x_stride]), panel, F32x16::load(sum)).store(sum);
    }
  }
}

constexpr int64_t kStoreAhead = 8;  // rows whose outputs are fetched, since rows lie far apart

template <class F>
TRIGA_INLINE void linear_store(const LinearArgs& a, int64_t row, int64_t rows, int64_t col,
                               int64_t cols, const float* sums, F activate) {
  const float* bias = a.bias ? a.bias + (a.gated ? 2 * col : col) : nullptr;
  const int64_t width = a.gated ? 2 * kPanel : kPanel;  // of scratch, for 16 outputs
  for (int64_t r = 0; r < rows; ++r) {
    float* y = a.y + (row + r) * a.y_stride + col;
    const float* residual = a.residual ? a.residual + (row + r) * a.residual_stride + col : nullptr;
    for (int64_t c = 0; c < cols; c += kPanel) {
      const int64_t at = c / kPanel * width, n = cols - c;
      prefetch(y + kStoreAhead * a.y_stride + c);
      F32x16 v = F32x16::load(sums + r * kTileCols + at);
      if (bias) v = v + F32x16::load(bias + at);
      v = activate(v);
      if (a.gated) {
        F32x16 up = F32x16::load(sums + r * kTileCols + at + kPanel);
        if (bias) up = up + F32x16::load(bias + at + kPanel);
        v = v * up;
      }
      if (residual) v = v + load_upto(residual + c, n);
      store_upto(v, y + c, n);
    }
  }
}

// Calls f with the function of an activation: f is compiled for each, so that the branch stands
// outside its loops.
template <class F>
TRIGA_INLINE void with_activation(Activation activation, F f) {
  switch (activation) {
    case Activation::kNone:
      return f([](F32x16 v) { return v; });
    case Activation::kSilu:
      return f([](F32x16 v) { return v * sigmoid(v); });
    case Activation::kGelu:
      return f([](F32x16 v) { return gelu(v); });
    case Activation::kGeluTanh:
      return f([](F32x16 v) { return gelu_tanh(v); });
    case Activation::kQuickGelu:
      return f([](F32x16 v) { return v * sigmoid(v * F32x16::set(1.702f)); });
    case Activation::kRelu:
      return f([](F32x16 v) { return relu(v); });
    case Activation::kTanh:
      return f([](F32x16 v) { return tanh(v); });
    case Activation::kSigmoid:
      return f([](F32x16 v) { return sigmoid(v); });
  }
}

inline void linear_finish(const LinearArgs& a, int64_t row, int64_t rows, int64_t col, int64_t cols,
                          const float* sums) {
  with_activation(a.activation, [&](auto f) { linear_store(a, row, rows, col, cols, sums, f); });
}

// `steps` steps of panels as f32: [panels][steps · kStep][16].
template <class Weights>
void linear_widen(const char* w, int64_t panel_bytes, int64_t panels, int64_t steps, float* to) {
  for (int64_t p = 0; p < panels; ++p) {
    const char* from = w + p * panel_bytes;
    for (int64_t s = 0; s < steps; ++s, from += Weights::kBytes) {
      prefetch(from + kPrefetchBytes);
      for (int u = 0; u < Weights::kParts; ++u, to += kPanel) Weights::load(from, u).store(to);
    }
  }
}

// One block of k of some panels for all rows of the chunk, while the lines from `next` on are
// fetched. The register tiles are as even as the rows allow. `offsets`: see Panels.
template <class Weights>
void linear_rows(const typename Weights::X* x, int64_t x_stride, int64_t rows, const char* w,
                 int64_t panel_bytes, int64_t panels, int64_t steps, const char* next, float* sums,
                 const int32_t* offsets = nullptr) {
  static constexpr LinearTiles<Weights> kTiles = make_tiles<Weights>();
  const int64_t tiles = ceil_div(rows, kMaxTileRows), next_step = ceil_div(Weights::kBytes, tiles);
  for (int64_t r = 0, left = tiles; left > 0; --left) {
    const int64_t n = ceil_div(rows - r, left);
    const int64_t wide = tile_panels(static_cast<int>(n));
    for (int64_t p = 0, width; p < panels; p += width) {
      const bool whole = p + wide <= panels;
      width = whole ? wide : 1;
      const Panels at{w + p * panel_bytes, panel_bytes, next + p * panel_bytes, next_step, offsets};
      (whole ? kTiles.whole : kTiles.single)[n](x + r * x_stride, x_stride, at, steps,
                                                sums + r * kTileCols + p * kPanel);
    }
    r += n;
    next += steps * next_step;
  }
}

template <class Weights>
void linear_block(const typename Weights::X* x, int64_t x_stride, int64_t rows, const char* w,
                  int64_t panel_bytes, int64_t panels, int64_t steps, const char* next, float* sums,
                  float* wide) {
  if constexpr (Weights::kWiden) {
    if (rows > kDirectRows) {
      linear_widen<Weights>(w, panel_bytes, panels, steps, wide);
      const int64_t k = steps * Weights::kStep;
      const char* from = reinterpret_cast<const char*>(wide);
      linear_rows<WeightsF32>(x, x_stride, rows, from, k * 64, panels, k, from, sums);
      return;
    }
  }
  (void)wide;
  linear_rows<Weights>(x, x_stride, rows, w, panel_bytes, panels, steps, next, sums);
}

template <class Weights>
void linear_chunk(const LinearArgs& a, int64_t row, int64_t rows, const char* w,
                  int64_t panel_bytes, int64_t panels, float* sums) {
  using X = typename Weights::X;
  const X* x = static_cast<const X*>(a.x) + row * a.x_stride;
  for (int64_t i = 0; i < rows * kTileCols; i += kPanel) F32x16::zero().store(sums + i);
  const bool padded = sizeof(X) == 2, blocked = rows > kMaxTileRows;
  const int64_t steps = padded ? ceil_div(a.k, 2) : a.k / Weights::kStep;
  const int64_t wide =
      blocked ? tile_panels(kMaxTileRows) : most(2, tile_panels(static_cast<int>(rows)));
  const bool widen = Weights::kWiden && rows > kDirectRows;
  const int64_t step_bytes = widen ? Weights::kStep * 64 : Weights::kBytes;
  const int64_t most_steps = blocked ? kBlockBytes / step_bytes / wide : most(steps, 1);
  const int64_t block = most(ceil_div(steps, ceil_div(most(steps, 1), most_steps)), 1);
  const auto run = [&](int64_t p, int64_t s, int64_t ahead) {
    const char* from = w + p * panel_bytes + s * Weights::kBytes;
    linear_block<Weights>(x + s * Weights::kStep, a.x_stride, rows, from, panel_bytes,
                          least(wide, panels - p), least(block, steps - s), from + ahead,
                          sums + p * kPanel, sums + kChunkRows * kTileCols);
  };
  if (rows <= kStreamRows) {
    const int64_t ahead = blocked ? block * Weights::kBytes : kPrefetchBytes;
    for (int64_t p = 0; p < panels; p += wide) {
      for (int64_t s = 0; s < steps; s += block) run(p, s, ahead);
    }
  } else {
    for (int64_t s = 0; s < steps; s += block) {
      for (int64_t p = 0; p < panels; p += wide) run(p, s, wide * panel_bytes);
    }
  }
  if constexpr (sizeof(X) == 4 && Weights::kStep == 2) {
    if (a.k % 2 != 0) {
      linear_odd_k(x + steps * 2, a.x_stride, rows, w + steps * Weights::kBytes, panel_bytes,
                   panels, sums);
    }
  }
}

inline int64_t linear_tiles(const LinearArgs& a) {
  return a.rows == 0 ? 0 : ceil_div(a.n, a.gated ? kTileCols / 2 : kTileCols);
}
inline size_t linear_scratch(const LinearArgs&) {
  return kChunkRows * kTileCols * sizeof(float) + kBlockBytes;
}

template <class Weights>
void linear_run(const LinearArgs& a, int64_t begin, int64_t end, void* scratch) {
  float* sums = static_cast<float*>(scratch);
  const int64_t tile_cols = a.gated ? kTileCols / 2 : kTileCols;
  const int64_t panel_bytes = ceil_div(a.k, Weights::kStep) * Weights::kBytes;
  for (int64_t tile = begin; tile < end; ++tile) {
    const int64_t col = tile * tile_cols, cols = least(tile_cols, a.n - col);
    const int64_t panels = ceil_div(cols, kPanel) * (a.gated ? 2 : 1);
    const char* w = static_cast<const char*>(a.panels) + tile * kTilePanels * panel_bytes;
    for (int64_t row = 0, left = ceil_div(a.rows, kChunkRows); left > 0; --left) {
      const int64_t rows = ceil_div(a.rows - row, left);
      linear_chunk<Weights>(a, row, rows, w, panel_bytes, panels, sums);
      linear_finish(a, row, rows, col, cols, sums);
      row += rows;
    }
  }
}

template <class Weights>
constexpr Kernel<LinearArgs> linear_kernel() {
  return {linear_tiles, linear_scratch, linear_run<Weights>};
}
// y[r] = bf16 of x[r]: nearest even, an odd k padded with one 0; a NaN stays one.
inline int64_t to_bf16_tiles(const ToBF16Args& a) {
  return a.transposed ? ceil_div(a.rows, 16) : a.rows;
}
// 16 rows from the columns of x [k, rows].
inline void columns_to_bf16(const ToBF16Args& a, int64_t row) {
  const int64_t rows = least(16, a.rows - row);
  alignas(64) uint32_t words[16 * 16];
  for (int64_t k = 0; k < a.k; k += 32) {
    for (int64_t i = 0; i < 16; ++i) {
      const auto at = [&](int64_t n) {
        return n < a.k ? F32x16::load(a.x + n * a.x_stride + row, rows) : F32x16::zero();
      };
      store_bf16_pairs(at(k + 2 * i), at(k + 2 * i + 1), words + i * 16);
    }
    transpose16(words);
    const size_t bytes = static_cast<size_t>(least(16, ceil_div(a.k - k, 2))) * 4;
    for (int64_t r = 0; r < rows; ++r)
      __builtin_memcpy(a.y + (row + r) * a.y_stride + k, words + r * 16, bytes);
  }
}
inline void to_bf16_run(const ToBF16Args& a, int64_t begin, int64_t end, void*) {
  if (a.transposed) {
    for (int64_t tile = begin; tile < end; ++tile) columns_to_bf16(a, tile * 16);
    return;
  }
  for (int64_t r = begin; r < end; ++r) {
    const float* x = a.x + r * a.x_stride;
    uint16_t* y = a.y + r * a.y_stride;
    int64_t i = 0;
    for (; i + 16 <= a.k; i += 16) store_bf16(F32x16::load(x + i), y + i);
    if (i < a.k) {
      uint16_t t[16];
      store_bf16(F32x16::load(x + i, a.k - i), t);
      __builtin_memcpy(y + i, t, static_cast<size_t>((a.k - i + 1) / 2 * 4));
    }
  }
}

#if !defined(__AMX_BF16__)  // linear_amx.h has others
constexpr Kernel<LinearArgs> linear_dot_kernel() {
  if constexpr (kHasDotBF16) {
    return linear_kernel<WeightsBF16Dot>();
  } else {
    return {linear_tiles, linear_scratch, nullptr};
  }
}
constexpr Kernel<ToBF16Args> to_bf16_kernel() { return {to_bf16_tiles, nullptr, to_bf16_run}; }
#endif

}  // namespace
}  // namespace triga
