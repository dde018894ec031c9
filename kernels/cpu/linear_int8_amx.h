// int8 linears on matrix tiles (simd/amx.h), for groups of kGroup and enough rows; what they compute is LinearInt8Args in kernel.h,
// to the bit as linear_int8.h computes it, which does all the rest.
//
// A product is a group of 16 rows and a panel: a tile of sums, exact in 32 bits, goes to scratch memory, since there is no other
// way from tiles to vectors, and is added to the f32 accumulators of these rows and the panel, which stay in 16 registers while
// groups go by. The instructions for a product to come stand between those that add an earlier one: neither waits for the other.
// The tile product takes 16 cycles, no less for half its depth, and so do the stores, and the conversions and multiply-adds: half
// of the tile product's own peak is the limit.
//
// A job is four panels for a chunk of rows whose activations stay in L2; chunks come one after the other, so that the threads share
// each stream of weights. Within it, a block of kBlockGroups groups of two panels, once as tiles read it, stays in L1 while the
// rows walk over it: weights become w again, which saves the sums their start, and scales f32.
#pragma once
#include "kernels/cpu/linear_int8.h"
#include "kernels/cpu/pack_int8.h"
#include "kernels/cpu/simd/amx.h"

namespace triga {
namespace {

#if defined(__AMX_INT8__)

constexpr int64_t kInt8TileRows = 16;                       // of x in a tile
constexpr int64_t kInt8TileBytes = kInt8TileRows * kGroup;  // of x, and of a panel's group
constexpr int64_t kInt8LeastRows = 32;                      // fewer are faster on vectors
constexpr int64_t kInt8MostRows = 512;                      // of a chunk
constexpr int64_t kInt8ChunkBytes = int64_t{1} << 20;       // of a chunk's activations, in L2
constexpr int64_t kBlockGroups = 16, kBlockPanels = 2;
constexpr int64_t kInt8SumBytes = kInt8TileRows * kPanel * 4;  // of a product
constexpr int64_t kInt8GroupBytes = kInt8TileBytes + 64;  // of a block: a tile of weights, scales
constexpr int64_t kSlots = 4;  // of products on their way through scratch memory
constexpr int64_t kAhead = 3;  // products that were begun before one is added
static_assert(kGroup / 4 * 64 == kInt8TileBytes, "a group of a panel is a tile of weights");

// What follows in a thread's scratch memory are the chunk's sums, [rows in whole tiles][kTileCols].
struct Int8Scratch {
  char block[kBlockPanels * kBlockGroups * kInt8GroupBytes];
  char slots[kSlots * kInt8SumBytes];
};

TRIGA_INLINE bool int8_on_tiles(int64_t rows, int64_t group) {
  return group == kGroup && rows >= kInt8LeastRows;
}

// Rows of a chunk at most, and of each chunk: as even as whole tiles allow.
TRIGA_INLINE int64_t int8_most_rows(const LinearArgs& a) {
  const int64_t wide = most(ceil_div(a.k, kGroup), 1) * kGroup;
  const int64_t fit = most(kInt8ChunkBytes / wide / kInt8TileRows, 1) * kInt8TileRows;
  return least(least(fit, kInt8MostRows), a.rows);
}
TRIGA_INLINE int64_t int8_chunk_rows(const LinearArgs& a) {
  const int64_t chunks = ceil_div(a.rows, int8_most_rows(a));
  return ceil_div(ceil_div(a.rows, chunks), kInt8TileRows) * kInt8TileRows;
}

// A block of groups of some panels for all rows of a chunk.
struct Int8Pass {
  const char* x;    // the first row tile's first group
  int64_t x_bytes;  // of a row tile
  int64_t row_tiles;
  int64_t panels, groups;
  bool first;   // sums start from 0
  float* sums;  // of the first panel
  const char*
      next;  // weights to fetch meanwhile: so many lines of two panels at each product, up to `end`
  const char* end;
  int64_t panel_bytes, lines;
};

// The block's products one after the other: groups, panels, row tiles.
class Int8Products {
 public:
  TRIGA_INLINE Int8Products(const Int8Pass& pass, const char* weights)
      : pass_(pass), weights_(weights), row_(pass.x), x(row_), w(weights) {}

  // After the last one, the first row tile's again: what is begun too much is never added.
  TRIGA_INLINE void advance() {
    x += kInt8TileBytes;
    w += kInt8GroupBytes;
    if (++group_ < pass_.groups) return;
    group_ = 0;
    if (++panel_ == pass_.panels) {
      panel_ = 0;
      w = weights_;
      row_ = ++row_tile_ < pass_.row_tiles ? row_ + pass_.x_bytes : pass_.x;
    }
    x = row_;
  }

 private:
  const Int8Pass& pass_;
  const char* weights_;
  const char* row_;
  int64_t group_ = 0, panel_ = 0, row_tile_ = 0;

 public:
  const char* x;
  const char* w;
};

// acc[r] += scale · sums[r] for the rows [From, To).
template <int From, int To>
TRIGA_INLINE void int8_add(F32x16 (&acc)[kInt8TileRows], const char* sums, const F32x16& scale) {
#pragma GCC unroll 16
  for (int r = From; r < To; ++r) acc[r] = fma(load_i32_row(sums + r * 64), scale, acc[r]);
}

// Tiles: 0 sums, 1 rows of x, 2 weights.
inline void int8_pass(Int8Pass pass, Int8Scratch* s) {
  Int8Products ahead(pass, s->block);
  for (int64_t i = 0; i < kAhead; ++i, ahead.advance()) {
    if (i > 0) store_tile<0>(s->slots + (i - 1) * kInt8SumBytes, 64);
    load_tile<1>(ahead.x, kGroup);
    load_tile<2>(ahead.w, 64);
    zero_tile<0>();
    dot_tile_i8<0, 1, 2>();
  }
  int64_t product = 0;
  for (int64_t t = 0; t < pass.row_tiles; ++t) {
    const char* scales = s->block + kInt8TileBytes;
    for (int64_t p = 0; p < pass.panels; ++p) {
      float* sums = pass.sums + t * kInt8TileRows * kTileCols + p * kPanel;
      F32x16 acc[kInt8TileRows];
#pragma GCC unroll 16
      for (int r = 0; r < kInt8TileRows; ++r)
        acc[r] = pass.first ? F32x16::zero() : F32x16::load(sums + r * kTileCols);
      for (int64_t g = 0; g < pass.groups; ++g, ++product, scales += kInt8GroupBytes) {
        const char* done = s->slots + product % kSlots * kInt8SumBytes;
        const F32x16 scale = F32x16::load(reinterpret_cast<const float*>(scales));
        load_tile<1>(ahead.x, kGroup);
        int8_add<0, 4>(acc, done, scale);
        load_tile<2>(ahead.w, 64);
        int8_add<4, 8>(acc, done, scale);
        store_tile<0>(s->slots + (product + kAhead - 1) % kSlots * kInt8SumBytes, 64);
        zero_tile<0>();
        dot_tile_i8<0, 1, 2>();
        int8_add<8, 16>(acc, done, scale);
        ahead.advance();
        for (int64_t l = 0; l < pass.lines && pass.next < pass.end; ++l, pass.next += 64) {
          for (int64_t q = 0; q < kBlockPanels; ++q) prefetch(pass.next + q * pass.panel_bytes);
        }
      }
#pragma GCC unroll 16
      for (int r = 0; r < kInt8TileRows; ++r) acc[r].store(sums + r * kTileCols);
    }
  }
}

// `groups` groups of some panels as Int8Scratch has them.
template <class Groups>
void int8_block(const char* w, int64_t panel_bytes, int64_t panels, int64_t groups,
                const Groups& format, Int8Scratch* s) {
  char* __restrict to = s->block;
  for (int64_t p = 0; p < panels; ++p) {
    const char* from = w + p * panel_bytes;
    for (int64_t g = 0; g < groups; ++g, from += group_bytes(format), to += kInt8GroupBytes) {
      for (int64_t i = 0; i < kInt8TileBytes; i += 4) {
        uint32_t word;
        __builtin_memcpy(&word, from + i, 4);
        word ^= kSignBits;
        __builtin_memcpy(to + i, &word, 4);
      }
      Groups::scales(from + kInt8TileBytes).store(reinterpret_cast<float*>(to + kInt8TileBytes));
    }
  }
}

inline void set_int8_tile_shapes() {
  TileShapes shapes;
  shapes.rows[0] = kInt8TileRows, shapes.row_bytes[0] = 64;
  shapes.rows[1] = kInt8TileRows, shapes.row_bytes[1] = kGroup;
  shapes.rows[2] = kGroup / 4, shapes.row_bytes[2] = 64;
  set_tile_shapes(shapes);
}

template <class Groups>
void int8_amx_chunk(const LinearInt8Args& args, int64_t row, int64_t rows, const char* w,
                    int64_t panels, Int8Scratch* s, float* sums) {
  const Groups format(args.group);
  const int64_t count = ceil_div(args.linear.k, kGroup), bytes = group_bytes(format);
  const int64_t panel_bytes = count * bytes;
  Int8Pass pass{};
  pass.x_bytes = count * kInt8TileBytes;
  pass.row_tiles = ceil_div(rows, kInt8TileRows);
  pass.panel_bytes = panel_bytes;
  const char* x = static_cast<const char*>(args.linear.x) + row / kInt8TileRows * pass.x_bytes;
  if (count == 0) {
    for (int64_t i = 0; i < rows * kTileCols; i += kPanel) F32x16::zero().store(sums + i);
  }
  for (int64_t p = 0; p < panels; p += kBlockPanels) {
    for (int64_t g = 0; g < count; g += kBlockGroups) {
      const char* from = w + p * panel_bytes + g * bytes;
      pass.panels = least(kBlockPanels, panels - p);
      pass.groups = least(kBlockGroups, count - g);
      int8_block(from, panel_bytes, pass.panels, pass.groups, format, s);
      pass.next = g + pass.groups < count ? from + pass.groups * bytes
                                          : w + (p + kBlockPanels) * panel_bytes;
      pass.end = pass.next + kBlockGroups * bytes;
      pass.lines = ceil_div(ceil_div(bytes, 64), pass.row_tiles * pass.panels);
      pass.x = x + g * kInt8TileBytes;
      pass.first = g == 0;
      pass.sums = sums + p * kPanel;
      int8_pass(pass, s);
    }
  }
}

inline int64_t int8_amx_jobs(const LinearInt8Args& a) {
  if (!int8_on_tiles(a.linear.rows, a.group)) return linear_int8_tiles(a);
  return linear_tiles(a.linear) * ceil_div(a.linear.rows, int8_chunk_rows(a.linear));
}
inline size_t int8_amx_scratch(const LinearInt8Args& a) {
  if (!int8_on_tiles(a.linear.rows, a.group)) return linear_int8_scratch(a);
  return sizeof(Int8Scratch) +
         static_cast<size_t>(int8_chunk_rows(a.linear) * kTileCols) * sizeof(float);
}

template <class Groups>
void int8_amx_run(const LinearInt8Args& args, int64_t begin, int64_t end, void* scratch) {
  const LinearArgs& a = args.linear;
  if (!int8_on_tiles(a.rows, args.group)) {
    return linear_int8_run<Groups>(args, begin, end, scratch);
  }
  Int8Scratch* s = static_cast<Int8Scratch*>(scratch);
  float* sums = reinterpret_cast<float*>(s + 1);
  const int64_t panel_bytes = ceil_div(a.k, kGroup) * group_bytes(Groups(kGroup));
  const int64_t tile_cols = a.gated ? kTileCols / 2 : kTileCols, columns = linear_tiles(a);
  const int64_t chunk = int8_chunk_rows(a);
  set_int8_tile_shapes();
  for (int64_t job = begin; job < end; ++job) {
    const int64_t row = job / columns * chunk, rows = least(chunk, a.rows - row);
    const int64_t at = job % columns, col = at * tile_cols, cols = least(tile_cols, a.n - col);
    const int64_t panels = ceil_div(cols, kPanel) * (a.gated ? 2 : 1);
    const char* w = static_cast<const char*>(a.panels) + at * kTilePanels * panel_bytes;
    int8_amx_chunk<Groups>(args, row, rows, w, panels, s, sums);
    linear_int8_finish(args, row, rows, col, cols, panels, sums);
  }
  release_tiles();
}

// Tiles of rows, a group after the other: [tile][group][16][kGroup]; the rows and k that do not exist are 0.
inline int64_t int8_amx_rows_jobs(const Int8RowsArgs& a) {
  return int8_on_tiles(a.rows, a.group) ? ceil_div(a.rows, kInt8TileRows) : int8_rows_tiles(a);
}
inline void int8_amx_rows_run(const Int8RowsArgs& a, int64_t begin, int64_t end, void* scratch) {
  if (!int8_on_tiles(a.rows, a.group)) return int8_rows_run(a, begin, end, scratch);
  const int64_t count = ceil_div(a.k, kGroup);
  for (int64_t tile = begin; tile < end; ++tile) {
    char* y = a.y + tile * count * kInt8TileBytes;
    for (int64_t r = 0; r < kInt8TileRows; ++r, y += kGroup) {
      const int64_t row = tile * kInt8TileRows + r;
      const int8_t* x = a.x + (row < a.rows ? row * a.x_stride : 0);
      for (int64_t g = 0; g < count; ++g) {
        const int64_t length = row < a.rows ? least(kGroup, a.k - g * kGroup) : 0;
        char* to = y + g * kInt8TileBytes;
        if (length == kGroup) {
          __builtin_memcpy(to, x + g * kGroup, kGroup);
        } else {
          __builtin_memset(to, 0, kGroup);
          if (length > 0) __builtin_memcpy(to, x + g * kGroup, static_cast<size_t>(length));
        }
      }
    }
  }
}

constexpr Kernel<Int8RowsArgs> int8_rows_kernel() {
  return {int8_amx_rows_jobs, nullptr, int8_amx_rows_run};
}
template <class Groups>
constexpr Kernel<LinearInt8Args> linear_int8_kernel() {
  return {int8_amx_jobs, int8_amx_scratch, int8_amx_run<Groups>};
}
#endif

}  // namespace
}  // namespace triga
