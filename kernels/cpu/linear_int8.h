// y[r, :] = act(x_scale[r] · Σ_g scale_g · Σ_{k in g} w · x + bias) (+ residual), see LinearInt8Args in kernel.h.
//
// Activations are expanded first (int8_rows): rows that a level multiplies at once lie together, a group after the other, each
// with the number that its sums start at. Tiles are those of linear.h, and so is the order of rows, panels and blocks of k; a step
// is a group. Its exact sums stand in registers, and are added to the f32 accumulators there, which come from scratch memory and
// go back. Error of a sum: that of an f32 chain over the groups.
#pragma once
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/linear.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/simd/int8.h"
#include "kernels/cpu/simd/vec.h"

namespace triga {
namespace {

// What groups look like, in panels and in expanded activations.
struct GroupsQ8 {
  static constexpr int kFixedDots = kGroup / 4 / Int8Dot::kQuads;
  static constexpr int64_t kScaleBytes = 32;
  explicit GroupsQ8(int64_t) {}
  static constexpr int64_t dots() { return kFixedDots; }
  static TRIGA_INLINE F32x16 scales(const char* p) {
    return load_f16(reinterpret_cast<const uint16_t*>(p));
  }
};
struct GroupsOfAny {
  static constexpr int kFixedDots = 0;
  static constexpr int64_t kScaleBytes = 64;
  explicit GroupsOfAny(int64_t group)
      : dots_(ceil_div(group, kInt8Step) * kInt8Step / 4 / Int8Dot::kQuads) {}
  int64_t dots() const { return dots_; }
  static TRIGA_INLINE F32x16 scales(const char* p) {
    return F32x16::load(reinterpret_cast<const float*>(p));
  }
  int64_t dots_;
};

constexpr int64_t kInt8WeightBytes = Int8Dot::kQuads * 64;  // of one dot
constexpr int64_t kInt8StartBytes = Int8Dot::kSigned ? 0 : 4 * Int8Dot::kRows;

template <class Groups>
TRIGA_INLINE int64_t group_bytes(const Groups& g) {
  return g.dots() * kInt8WeightBytes + Groups::kScaleBytes;
}
template <class Groups>
TRIGA_INLINE int64_t x_group_bytes(const Groups& g) {
  return g.dots() * Int8Dot::kXBytes + kInt8StartBytes;
}

// `count` groups for D dots (of kRows rows) and P panels: sums[row][p · 16 …]. x_stride lies between dots.
template <class Groups, int D, int P>
void int8_tile(const char* x, int64_t x_stride, const Panels& panels, const Groups& groups,
               int64_t count, float* sums) {
  constexpr int kRows = Int8Dot::kRows;
  const char* w = panels.w;
  const char* next = panels.next;
  const int64_t panel_bytes = panels.bytes, next_step = panels.next_step;
  F32x16 acc[D * kRows][P];
#pragma GCC unroll 16
  for (int r = 0; r < D * kRows; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p < P; ++p) acc[r][p] = F32x16::load(sums + r * kTileCols + p * kPanel);
  }
  for (int64_t g = 0; g < count; ++g) {
    Int8Dot::Sums dots[D][P];
    const int64_t starts = groups.dots() * Int8Dot::kXBytes;
#pragma GCC unroll 16
    for (int d = 0; d < D; ++d) {
#pragma GCC unroll 4
      for (int p = 0; p < P; ++p) dots[d][p] = Int8Dot::start(x + d * x_stride + starts);
    }
    const auto dot = [&](int64_t i) {
#pragma GCC unroll 4
      for (int p = 0; p < P; ++p) prefetch(next + p * panel_bytes);
      next += next_step;
      Int8Dot::W panel[P];
#pragma GCC unroll 4
      for (int p = 0; p < P; ++p)
        panel[p] = Int8Dot::load(w + p * panel_bytes + i * kInt8WeightBytes);
#pragma GCC unroll 16
      for (int d = 0; d < D; ++d) {
        const Int8Dot::X a = Int8Dot::load_x(x + d * x_stride + i * Int8Dot::kXBytes);
#pragma GCC unroll 4
        for (int p = 0; p < P; ++p) Int8Dot::dot(dots[d][p], panel[p], a);
      }
    };
    if constexpr (Groups::kFixedDots > 0) {
#pragma GCC unroll 8
      for (int i = 0; i < Groups::kFixedDots; ++i) dot(i);
    } else {
      for (int64_t i = 0, n = groups.dots(); i < n; ++i) dot(i);
    }
    const char* scales = w + groups.dots() * kInt8WeightBytes;
#pragma GCC unroll 4
    for (int p = 0; p < P; ++p) {
      prefetch(next + p * panel_bytes);
      const F32x16 scale = Groups::scales(scales + p * panel_bytes);
#pragma GCC unroll 16
      for (int d = 0; d < D; ++d) {
        acc[d * kRows][p] = fma(Int8Dot::row<0>(dots[d][p]), scale, acc[d * kRows][p]);
        if constexpr (kRows == 2)
          acc[d * 2 + 1][p] = fma(Int8Dot::row<1>(dots[d][p]), scale, acc[d * 2 + 1][p]);
      }
    }
    next += next_step;
    x += x_group_bytes(groups);
    w += group_bytes(groups);
  }
#pragma GCC unroll 16
  for (int r = 0; r < D * kRows; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p < P; ++p) acc[r][p].store(sums + r * kTileCols + p * kPanel);
  }
}

template <class Groups>
using Int8Tile = void (*)(const char*, int64_t, const Panels&, const Groups&, int64_t, float*);

// Register tiles by dots: whole = as many panels as the registers hold, single = one.
template <class Groups>
struct Int8Tiles {
  Int8Tile<Groups> whole[kInt8TileDots + 1], single[kInt8TileDots + 1];
};
template <class Groups, int D>
constexpr void list_int8_tiles(Int8Tiles<Groups>& t) {
  if constexpr (D > 0) {
    t.whole[D] = int8_tile<Groups, D, int8_tile_panels(D)>;
    t.single[D] = int8_tile<Groups, D, 1>;
    list_int8_tiles<Groups, D - 1>(t);
  }
}
template <class Groups>
constexpr Int8Tiles<Groups> make_int8_tiles() {
  Int8Tiles<Groups> t{};
  list_int8_tiles<Groups, kInt8TileDots>(t);
  return t;
}

// A block of groups of some panels for all dots of a chunk, while the lines from `next` on are fetched.
template <class Groups>
void int8_rows_of_block(const char* x, int64_t x_stride, int64_t dots, const Panels& block,
                        int64_t panels, const Groups& groups, int64_t count, float* sums) {
  static constexpr Int8Tiles<Groups> kTiles = make_int8_tiles<Groups>();
  const int64_t tiles = ceil_div(dots, kInt8TileDots);
  const int64_t fetches = groups.dots() + 1;  // of a tile, in a group
  Panels at = block;
  at.next_step = ceil_div(group_bytes(groups), fetches * tiles);
  for (int64_t d = 0, left = tiles; left > 0; --left) {
    const int64_t n = ceil_div(dots - d, left);
    const int64_t wide = int8_tile_panels(static_cast<int>(n));
    for (int64_t p = 0, width; p < panels; p += width) {
      const bool whole = p + wide <= panels;
      width = whole ? wide : 1;
      const Panels tile{at.w + p * at.bytes, at.bytes, at.next + p * at.bytes, at.next_step};
      (whole ? kTiles.whole : kTiles.single)[n](x + d * x_stride, x_stride, tile, groups, count,
                                                sums + d * Int8Dot::kRows * kTileCols + p * kPanel);
    }
    d += n;
    at.next += count * fetches * at.next_step;
  }
}

constexpr int64_t kInt8BlockBytes = 24576;  // of panels, in L1 while rows walk over them
constexpr int64_t kInt8PrefetchBytes = 4096;

// The sums of some rows over all groups, from 0.
template <class Groups>
void int8_chunk(const char* x, int64_t x_stride, int64_t dots, const char* w, int64_t panel_bytes,
                int64_t panels, const Groups& groups, int64_t count, float* sums) {
  for (int64_t i = 0; i < dots * Int8Dot::kRows * kTileCols; i += kPanel)
    F32x16::zero().store(sums + i);
  const bool blocked = dots > kInt8TileDots;
  const int64_t wide =
      blocked ? int8_tile_panels(kInt8TileDots) : most(2, int8_tile_panels(static_cast<int>(dots)));
  const int64_t bytes = group_bytes(groups);
  const int64_t most_groups = blocked ? most(kInt8BlockBytes / bytes / wide, 1) : most(count, 1);
  const int64_t block = most(ceil_div(count, ceil_div(most(count, 1), most_groups)), 1);
  const auto run = [&](int64_t p, int64_t g, int64_t ahead) {
    const char* from = w + p * panel_bytes + g * bytes;
    int8_rows_of_block(x + g * x_group_bytes(groups), x_stride, dots,
                       Panels{from, panel_bytes, from + ahead, 0}, least(wide, panels - p), groups,
                       least(block, count - g), sums + p * kPanel);
  };
  if (dots * Int8Dot::kRows <= kStreamRows) {
    const int64_t ahead = blocked ? block * bytes : kInt8PrefetchBytes;
    for (int64_t p = 0; p < panels; p += wide) {
      for (int64_t g = 0; g < count; g += block) run(p, g, ahead);
    }
  } else {
    for (int64_t g = 0; g < count; g += block) {
      for (int64_t p = 0; p < panels; p += wide) run(p, g, wide * panel_bytes);
    }
  }
}

inline int64_t linear_int8_tiles(const LinearInt8Args& a) { return linear_tiles(a.linear); }
inline size_t linear_int8_scratch(const LinearInt8Args&) {
  static_assert(kChunkRows % Int8Dot::kRows == 0, "a last row's partner has its place");
  return kChunkRows * kTileCols * sizeof(float);
}

constexpr int64_t kFinishRows = 16;  // that are in L1 when their sums become outputs

// Sums to outputs: sums[row][kTileCols] of `panels` panels, times the row's scale, and what LinearArgs has after a sum.
inline void linear_int8_finish(const LinearInt8Args& args, int64_t row, int64_t rows, int64_t col,
                               int64_t cols, int64_t panels, float* sums) {
  for (int64_t from = 0; from < rows; from += kFinishRows) {
    const int64_t count = least(kFinishRows, rows - from);
    float* some = sums + from * kTileCols;
    for (int64_t r = 0; r < count; ++r) {
      const F32x16 scale = F32x16::set(args.x_scale[row + from + r]);
      for (int64_t c = 0; c < panels * kPanel; c += kPanel) {
        float* sum = some + r * kTileCols + c;
        (F32x16::load(sum) * scale).store(sum);
      }
    }
    linear_finish(args.linear, row + from, count, col, cols, some);
  }
}

template <class Groups>
void linear_int8_run(const LinearInt8Args& args, int64_t begin, int64_t end, void* scratch) {
  constexpr int64_t kRows = Int8Dot::kRows;
  const LinearArgs& a = args.linear;
  float* sums = static_cast<float*>(scratch);
  const Groups groups(args.group);
  const int64_t tile_cols = a.gated ? kTileCols / 2 : kTileCols;
  const int64_t count = ceil_div(a.k, args.group), panel_bytes = count * group_bytes(groups);
  const int64_t x_stride = count * x_group_bytes(groups);
  for (int64_t tile = begin; tile < end; ++tile) {
    const int64_t col = tile * tile_cols, cols = least(tile_cols, a.n - col);
    const int64_t panels = ceil_div(cols, kPanel) * (a.gated ? 2 : 1);
    const char* w = static_cast<const char*>(a.panels) + tile * kTilePanels * panel_bytes;
    const int64_t dots = ceil_div(a.rows, kRows);
    for (int64_t dot = 0, left = ceil_div(a.rows, kChunkRows); left > 0; --left) {
      const int64_t n = ceil_div(dots - dot, left), row = dot * kRows;
      const int64_t rows = least(n * kRows, a.rows - row);
      int8_chunk(static_cast<const char*>(a.x) + dot * x_stride, x_stride, n, w, panel_bytes,
                 panels, groups, count, sums);
      linear_int8_finish(args, row, rows, col, cols, panels, sums);
      dot += n;
    }
  }
}

// The bytes of quad `q` of a group that has `length` of k from x on; what lies beyond is 0.
TRIGA_INLINE uint32_t quad_of(const int8_t* x, int64_t length, int64_t q) {
  uint32_t quad = 0;
  const int64_t left = length - 4 * q;
  if (left >= 4) {
    __builtin_memcpy(&quad, x + 4 * q, 4);
  } else if (left > 0) {
    __builtin_memcpy(&quad, x + 4 * q, static_cast<size_t>(left));
  }
  return quad;
}

inline int64_t int8_rows_tiles(const Int8RowsArgs& a) { return ceil_div(a.rows, Int8Dot::kRows); }

inline void int8_rows_run(const Int8RowsArgs& a, int64_t begin, int64_t end, void*) {
  constexpr int kRows = Int8Dot::kRows, kQuads = Int8Dot::kQuads;
  const GroupsOfAny groups(a.group);
  const int64_t count = ceil_div(a.k, a.group);
  for (int64_t dot = begin; dot < end; ++dot) {
    char* y = a.y + dot * count * x_group_bytes(groups);
    for (int64_t g = 0; g < count; ++g) {
      const int64_t length = least(a.group, a.k - g * a.group);
      const int8_t* x[kRows];
      int64_t lengths[kRows];
      for (int r = 0; r < kRows; ++r) {
        const bool there = dot * kRows + r < a.rows;
        x[r] = a.x + (there ? (dot * kRows + r) * a.x_stride : 0) + g * a.group;
        lengths[r] = there ? length : 0;
      }
      for (int64_t q = 0; q < groups.dots() * kQuads; q += kQuads, y += Int8Dot::kXBytes) {
        uint32_t quads[kRows][kQuads];
        for (int r = 0; r < kRows; ++r) {
          for (int j = 0; j < kQuads; ++j) quads[r][j] = quad_of(x[r], lengths[r], q + j);
        }
        Int8Dot::expand(quads, y);
      }
      if constexpr (Int8Dot::kSigned) continue;
      for (int r = 0; r < kRows; ++r, y += 4) {
        uint32_t sum = 0;
        for (int64_t i = 0; i < lengths[r]; ++i) sum += static_cast<uint32_t>(int32_t{x[r][i]});
        const uint32_t start = 0u - 128u * sum;
        __builtin_memcpy(y, &start, 4);
      }
    }
  }
}

#if !defined(__AMX_INT8__)  // linear_int8_amx.h has others
constexpr Kernel<Int8RowsArgs> int8_rows_kernel() {
  return {int8_rows_tiles, nullptr, int8_rows_run};
}
template <class Groups>
constexpr Kernel<LinearInt8Args> linear_int8_kernel() {
  return {linear_int8_tiles, linear_int8_scratch, linear_int8_run<Groups>};
}
#endif

}  // namespace
}  // namespace triga
