// bf16 weights times bf16 activations on matrix tiles (simd/amx.h); see LinearArgs in kernel.h.
//
// A bf16 panel is a column of tiles as it lies in memory: 16 pairs of k in 64-byte rows. A sum is a chain over ascending
// blocks of 32 k, from 0; within a block, the tile product's own order. Neither depends on the number of rows, on the place of
// a row in its tile, or on where blocks are cut into passes, between which sums stand in scratch memory.
//
// A job's tile is four panels for a chunk of rows whose activations stay in L2; chunks come one after the other, so that the
// threads share each stream of weights. Within it, kPassSteps blocks of two panels stay in L1 while the rows walk over them.
#pragma once
#include "kernels/cpu/linear.h"
#include "kernels/cpu/simd/amx.h"

namespace triga {
namespace {

#if defined(__AMX_BF16__)

constexpr int64_t kTileRows = 16;          // of a tile: rows of x, or pairs of k
constexpr int64_t kTileK = 2 * kTileRows;  // k of a tile
constexpr int64_t kTileBytes = 1024;       // of weights
constexpr int64_t kPassSteps = 16;         // tiles of a panel that stay in L1
constexpr int64_t kMostRows = 256;         // of a chunk
constexpr int64_t kChunkBytes = 1 << 20;   // of a chunk's activations, in L2
constexpr int64_t kStreamBytes =
    4 * kTileBytes;  // that weights are fetched ahead when rows are few

// Rows of a chunk at most, and of each chunk: as even as whole pairs of row tiles allow.
TRIGA_INLINE int64_t amx_most_rows(const LinearArgs& a) {
  const int64_t fit = kChunkBytes / (2 * most(a.k, 1)) / kTileK * kTileK;
  return least(least(most(fit, kTileK), kMostRows), a.rows);
}
TRIGA_INLINE int64_t amx_chunk_rows(const LinearArgs& a) {
  const int64_t rows = amx_most_rows(a);
  if (rows == a.rows) return rows;
  return ceil_div(ceil_div(a.rows, ceil_div(a.rows, rows)), kTileK) * kTileK;
}

// Shapes for R row tiles (the last of `last` rows), P panels, and `pairs` pairs of k. Tiles 0 … 3: sums; then R of x; the
// rest: weights.
template <int R, int P>
void amx_set_shapes(int64_t last, int64_t pairs) {
  TileShapes s;
  for (int t = 0; t < 8; ++t) {
    const bool weights = t >= 4 + R;
    const int row = t < 4 ? t / P : t - 4;
    s.rows[t] = static_cast<uint8_t>(weights ? pairs : row == R - 1 ? last : kTileRows);
    s.row_bytes[t] = static_cast<uint16_t>(t < 4 || weights ? 64 : 4 * pairs);
  }
  for (int t = R * P; t < 4; ++t) s.rows[t] = 0, s.row_bytes[t] = 0;
  set_tile_shapes(s);
}

// Some blocks of k of some panels.
struct AmxPass {
  const uint16_t* x;  // of the chunk, as amx_to_bf16 leaves it
  int64_t width;      // even k
  int64_t first;      // block
  int64_t steps;      // blocks
  int64_t pairs;      // of k in each
  const char* w;
  int64_t panel_bytes;
  const char* next;  // weights to fetch: so many lines of each panel a step
  int64_t lines;
  int64_t sums_stride;  // floats between rows of sums
};

template <int R, int P, int I>
TRIGA_INLINE void amx_sums(const AmxPass& pass, float* sums, bool store) {
  if constexpr (I < R * P) {
    const int64_t stride = pass.sums_stride;
    float* at = sums + (I / P) * kTileRows * stride + (I % P) * kPanel;
    if (store) {
      store_tile<I>(at, stride * 4);
    } else if (pass.first == 0) {
      zero_tile<I>();
    } else {
      load_tile<I>(at, stride * 4);
    }
    amx_sums<R, P, I + 1>(pass, sums, store);
  }
}
template <int R, int P, int B>
TRIGA_INLINE void amx_panels(const char* w, int64_t panel_bytes) {
  if constexpr (B < P) {
    constexpr int kB = 4 + R + B % (4 - R);
    load_tile<kB>(w + B * panel_bytes, 64);
    dot_tile_bf16<B, 4, kB>();
    if constexpr (R == 2) dot_tile_bf16<P + B, 5, kB>();
    amx_panels<R, P, B + 1>(w, panel_bytes);
  }
}

// R row tiles from `row` on, the last of `last` rows, and P panels (R · P at most 4).
template <int R, int P>
void amx_tiles(const AmxPass& pass, int64_t row, int64_t last, float* sums) {
  if (pass.sums_stride != kTileCols && pass.first == 0) {  // where the result goes
    for (int64_t r = 0; r < (R - 1) * kTileRows + last; ++r) {
      for (int p = 0; p < P; ++p) prefetch(sums + r * pass.sums_stride + p * kPanel);
    }
  }
  amx_sums<R, P, 0>(pass, sums, false);
  const int64_t stride = 4 * pass.pairs;
  const char* x[R];
  int64_t bytes[R];  // of a tile of x
  for (int r = 0; r < R; ++r) {
    const int64_t rows = r == R - 1 ? last : kTileRows;
    bytes[r] = rows * kTileK * 2;
    x[r] = reinterpret_cast<const char*>(pass.x + (row + r * kTileRows) * pass.width) +
           pass.first * bytes[r];
  }
  const char* w = pass.w;
  const char* next = pass.next;
  for (int64_t s = 0; s < pass.steps; ++s) {
    load_tile<4>(x[0], stride);
    if constexpr (R == 2) load_tile<5>(x[R - 1], stride);
    amx_panels<R, P, 0>(w, pass.panel_bytes);
    for (int64_t l = 0; l < pass.lines; ++l, next += 64) {
      for (int p = 0; p < P; ++p) prefetch(next + p * pass.panel_bytes);
    }
    for (int r = 0; r < R; ++r) x[r] += bytes[r];
    w += kTileBytes;
  }
  amx_sums<R, P, 0>(pass, sums, true);
}

// One pass of P panels for all rows of the chunk.
template <int R, int P>
void amx_rows(AmxPass pass, int64_t rows, float* sums) {
  const int64_t most = R * kTileRows, whole = rows / most * most;
  if (whole > 0) amx_set_shapes<R, P>(kTileRows, pass.pairs);
  for (int64_t r = 0; r < whole; r += most) {
    amx_tiles<R, P>(pass, r, kTileRows, sums + r * pass.sums_stride);
    pass.next += pass.steps * pass.lines * 64;
  }
  const int64_t rest = rows - whole;
  sums += whole * pass.sums_stride;
  if (rest > kTileRows) {
    amx_set_shapes<R, P>(rest - kTileRows, pass.pairs);
    amx_tiles<R, P>(pass, whole, rest - kTileRows, sums);
  } else if (rest > 0) {
    amx_set_shapes<1, P>(rest, pass.pairs);
    amx_tiles<1, P>(pass, whole, rest, sums);
  }
}

inline void amx_chunk(const LinearArgs& a, int64_t row, int64_t rows, const char* w,
                      int64_t panel_bytes, int64_t panels, float* sums, int64_t sums_stride) {
  const int64_t pairs = ceil_div(a.k, 2), steps = ceil_div(pairs, kTileRows);
  const bool few = rows <= kTileRows;
  const int64_t wide = few ? 4 : 2;
  if (steps == 0) {
    for (int64_t i = 0; i < rows * kTileCols; i += kPanel) F32x16::zero().store(sums + i);
  }
  for (int64_t s = 0; s < steps;) {
    const bool tail = (s + 1) * kTileRows > pairs;  // a narrower block, a pass of its own
    const int64_t whole = least(few ? steps : kPassSteps, pairs / kTileRows - s);
    AmxPass pass{};
    pass.x = static_cast<const uint16_t*>(a.x) + row * a.x_stride;
    pass.width = a.x_stride;
    pass.first = s;
    pass.steps = tail ? 1 : whole;
    pass.pairs = tail ? pairs - s * kTileRows : kTileRows;
    pass.panel_bytes = panel_bytes;
    pass.sums_stride = sums_stride;
    pass.lines = ceil_div(16, ceil_div(rows, 2 * kTileRows));
    for (int64_t p = 0, width; p < panels; p += width) {
      width = p + wide <= panels ? wide : 1;
      pass.w = w + p * panel_bytes + s * kTileBytes;
      pass.next = pass.w + (few ? kStreamBytes : width * panel_bytes);
      float* to = sums + p * kPanel;
      if (few) {
        width == 1 ? amx_rows<1, 1>(pass, rows, to) : amx_rows<1, 4>(pass, rows, to);
      } else {
        width == 1 ? amx_rows<2, 1>(pass, rows, to) : amx_rows<2, 2>(pass, rows, to);
      }
    }
    s += pass.steps;
  }
}

inline int64_t amx_jobs(const LinearArgs& a) {
  return a.rows == 0 ? 0 : linear_tiles(a) * ceil_div(a.rows, amx_chunk_rows(a));
}
inline size_t amx_scratch(const LinearArgs& a) {
  return static_cast<size_t>(amx_most_rows(a) * kTileCols) * sizeof(float);
}
inline void amx_run(const LinearArgs& a, int64_t begin, int64_t end, void* scratch) {
  float* sums = static_cast<float*>(scratch);
  const int64_t tile_cols = a.gated ? kTileCols / 2 : kTileCols, columns = linear_tiles(a);
  const int64_t panel_bytes = ceil_div(a.k, 2) * 64, chunk = amx_chunk_rows(a);
  // Nothing follows the sums: they stand where the result goes.
  const bool plain =
      !a.bias && !a.residual && !a.gated && a.activation == Activation::kNone && a.k > 0;
  for (int64_t tile = begin; tile < end; ++tile) {
    const int64_t row = tile / columns * chunk, rows = least(chunk, a.rows - row);
    const int64_t at = tile % columns, col = at * tile_cols, cols = least(tile_cols, a.n - col);
    const char* w = static_cast<const char*>(a.panels) + at * kTilePanels * panel_bytes;
    const int64_t panels = ceil_div(cols, kPanel) * (a.gated ? 2 : 1);
    if (plain && cols % kPanel == 0) {
      amx_chunk(a, row, rows, w, panel_bytes, panels, a.y + row * a.y_stride + col, a.y_stride);
    } else {
      amx_chunk(a, row, rows, w, panel_bytes, panels, sums, kTileCols);
      linear_finish(a, row, rows, col, cols, sums);
    }
  }
  release_tiles();
}

// See ToBF16Args. A job reads whole stretches of memory: of columns, those of several row tiles side by side.
TRIGA_INLINE int64_t amx_to_bf16_rows(const ToBF16Args& a) {
  return a.transposed ? 4 * kTileRows : kTileRows;
}
inline int64_t amx_to_bf16_jobs(const ToBF16Args& a) {
  return ceil_div(a.rows, amx_to_bf16_rows(a));
}
inline void amx_to_bf16_run(const ToBF16Args& a, int64_t begin, int64_t end, void*) {
  const int64_t step = amx_to_bf16_rows(a);
  for (int64_t job = begin; job < end; ++job) {
    const int64_t last = least((job + 1) * step, a.rows);
    for (int64_t k = 0; k < a.k; k += kTileK) {
      const int64_t width = least(kTileK, a.y_stride - k);
      if (a.transposed) {  // no hardware follows strides so long
        for (int64_t n = k + kTileK; n < k + 2 * kTileK; ++n) {
          for (int64_t row = job * step; row < last; row += kTileRows)
            prefetch(a.x + n * a.x_stride + row);
        }
      }
      for (int64_t row = job * step; row < last; row += kTileRows) {
        const int64_t rows = least(kTileRows, last - row);
        const float* x = a.x + (a.transposed ? k * a.x_stride + row : row * a.x_stride + k);
        uint16_t* y = a.y + row * a.y_stride + k * rows;
        const int64_t depth = least(kTileK, a.k - k);
        const ToBF16Args block{x, y, rows, depth, a.x_stride, width, a.transposed};
        to_bf16_run(block, 0, to_bf16_tiles(block), nullptr);
      }
    }
  }
}

constexpr Kernel<ToBF16Args> to_bf16_kernel() {
  return {amx_to_bf16_jobs, nullptr, amx_to_bf16_run};
}
constexpr Kernel<LinearArgs> linear_dot_kernel() { return {amx_jobs, amx_scratch, amx_run}; }
#endif

}  // namespace
}  // namespace triga
