// The whole interface between the CPU kernels and whoever calls them: one POD argument struct a kernel, and one table of
// kernels an instruction set. Kernels neither allocate, lock, throw nor check: the plan loader has checked everything.
//
// Work is cut into tiles that do not depend on one another. A thread runs the tiles [begin, end) that it has claimed, with
// `scratch(args)` bytes of its own, aligned to 64. Which thread runs which tile never changes a bit of the result.
//
// Layouts.
//   Panels (weights [n, k] of linears and embeddings): ceil(n / 16) panels of 16 output columns; a panel is contiguous.
//     f32, f16: [k][16];  bf16: [ceil(k / 2)][16][2] (pairs of k side by side). Columns and the k that do not exist are 0.
//     q8: for each group of 32 k, 512 bytes of weights [8][16][4] as u8 = w + 128, then the group's 16 scales as f16. Columns
//     that do not exist have scales of 0; the k that do not exist are w = 0.
//   Gated panels: panel 2p holds columns 16p.. of the gate, panel 2p + 1 the same columns of the up projection.
//   KV blocks of 16 positions: keys [block][kv_head][head_dim][16], values [block][kv_head][16][head_dim], f32.
//     A slot is block * 16 + position within the block.
#pragma once
#include <cstddef>
#include <cstdint>

namespace triga {

constexpr int64_t kPanel = 16;  // output columns of a weight panel
constexpr int64_t kBlock = 16;  // positions of a KV block
constexpr int64_t kSpan =
    64;  // keys of an attention span, at absolute positions; a multiple of kBlock
constexpr int64_t kGroup = 32;    // of k, in q8 weights
constexpr int64_t kInt8Step = 8;  // groups of int8 products are padded to a multiple of so many k
constexpr int kMaxRank = 6;

enum class WeightType : int32_t { kF32 = 0, kF16 = 1, kBF16 = 2, kQ8 = 3 };

// The order is shared with lib/ops/activation.ts.
enum class Activation : int32_t {
  kNone = 0,
  kSilu = 1,
  kGelu = 2,
  kGeluTanh = 3,
  kQuickGelu = 4,
  kRelu = 5,
  kTanh = 6,
  kSigmoid = 7,
};

// The order is shared with lib/ops/unary.ts.
enum class UnaryOp : int32_t {
  kNeg = 0,
  kAbs = 1,
  kExp = 2,
  kLog = 3,
  kSqrt = 4,
  kRsqrt = 5,
  kTanh = 6,
  kErf = 7,
  kSigmoid = 8,
  kSin = 9,
  kCos = 10,
  kRelu = 11,
};

// The order is shared with lib/ops/binary.ts.
enum class BinaryOp : int32_t {
  kAdd = 0,
  kSub = 1,
  kMul = 2,
  kDiv = 3,
  kMax = 4,
  kMin = 5,
  kPow = 6,
  kLess = 7,
  kEqual = 8
};

enum class ReduceOp : int32_t { kSum = 0, kMax = 1 };

// y[r, :] = act(x[r, :] · Wᵀ + bias) (+ residual[r, :]), or with gated panels
// y[r, :] = act(gate) * up (+ residual). Each output is one f32 FMA chain over ascending k (for the bf16 dot product: over
// ascending pairs of k, or with AMX blocks of 32), starting from 0, whatever the tile; bias, activation, gate and residual
// follow in that order.
// Tiles: column tiles.
struct LinearArgs {
  const void* x;          // [rows, k], f32; for linear_bf16_dot as to_bf16 leaves it
  const void* panels;     // n columns (with gated panels 2n)
  const float* bias;      // in panel order, padded with 0 to whole panels; or null
  const float* residual;  // [rows, n] or null; may be y
  float* y;               // [rows, n]
  int64_t rows, n, k;
  int64_t x_stride, residual_stride, y_stride;  // elements between rows
  Activation activation;
  int32_t gated;
};

// Source rows are the output columns: w[n, k] row-major, or [k, n] where `transposed`. Columns go to panels at
// first_column, first_column + 1, … ; `gated` 1 or 2: to the gate's or the up projection's panels. Source and panel have
// the same type unless the source is f32 and the panels are bf16 or f16 (rounded to nearest even), or the source is bf16 or f16
// and the panels f32 (exact). Tiles: panels of the source's columns. Panels that two packs share (a first_column that is no
// multiple of 16) must not be packed at the same time; packing writes only its own columns, and memory starts as 0.
struct PackArgs {
  const void* source;
  void* panels;
  int64_t n, k, first_column;
  WeightType source_type, panel_type;
  int32_t transposed, gated;
};

// Weights as q8, from f32, f16 or bf16 by ggml's Q8_0 (quantize_row_q8_0_ref): in each group d = max |w| / 127, w' = w · (1 / d)
// in f32, rounded to the nearest whole number, halves away from 0; d is stored as f16. A group without finite d is left with a
// scale that is not finite. Where source_type is q8, source holds the rows' bytes [n, k] as int8, and `scales` [n, ceil(k / 32)]
// f16: taken as they are. The rest is as for PackArgs. Tiles: panels of the source's columns.
struct PackQ8Args {
  PackArgs pack;
  const void* scales;
};

// y[i, :] = W[ids[i], :] from panels. ids lie within the panels. Tiles: rows.
struct EmbeddingArgs {
  const void* panels;
  const int32_t* ids;
  float* y;  // [rows, k]
  int64_t rows, k;
  WeightType type;
};

// rms: y = x · rsqrt(mean(x²) + eps) · weight. layer: y = (x − mean) · rsqrt(var + eps) · weight + bias, biased variance.
// Sums run in a fixed order that depends on cols alone. weight and bias may be null. Tiles: rows.
struct NormArgs {
  const float* x;
  const float* weight;
  const float* bias;
  float* y;
  int64_t rows, cols, x_stride, y_stride;
  float eps;
};

// Rows to bytes: s = max |x| / 127, q = x / s rounded to nearest even, within ±127, in f32; s 0: q 0. A row with a number that is
// not finite: s NaN, q 0. q is padded with 0 to whole groups of kGroup. Tiles: rows.
struct QuantizeRowsArgs {
  const float* x;
  int8_t* q;     // [rows, round_up(k, kGroup)]
  float* scale;  // [rows]
  int64_t rows, k, x_stride;
};

// A norm whose result goes to bytes; `norm.y` is not used. Tiles: rows.
struct QuantizedNormArgs {
  NormArgs norm;
  int8_t* q;
  float* scale;
};

// Activations for the int8 linears of the same level, which alone knows their layout: y has room for 2 · g + 8 bytes for each
// group of each row, g being the group's length rounded up to kInt8Step. Tiles: rows, or as many of them as the level multiplies
// at once.
struct Int8RowsArgs {
  const int8_t* x;  // rows x_stride apart
  char* y;
  int64_t rows, k, group, x_stride;
};

// y[r, :] = act(x_scale[r] · (Σ_g scale_g · Σ_{k in g} w · x) + bias) (+ residual), or with gated panels as for LinearArgs. The sum
// within a group is exact; each output is one f32 chain sum = fma(Σ_{k in g} w · x, scale_g, sum) over ascending groups from 0,
// whatever the tile.
// linear_q8: q8 panels, groups of kGroup. linear_int8: groups of any length, padded to a multiple of kInt8Step, in panels [group]
// of weights [length / 4][16][4] as u8 = w + 128 and 16 scales as f32; a group's sum must not leave 32 bits.
struct LinearInt8Args {
  LinearArgs linear;     // x: as int8_rows leaves it; x_stride is not used
  const float* x_scale;  // [rows]
  int64_t group;
};

// cos, sin [rows, half] of positions[r] · inv_freq[set[r], i], the product in f32, times `scale`. set may be null: 0. Tiles: rows.
struct RopeTableArgs {
  const int32_t* positions;
  const int32_t* set;
  const float* inv_freq;  // [sets, half]
  float* cos;
  float* sin;
  int64_t rows, half;
  float scale;
};

// Splits rows of q, k, v heads side by side; normalizes q and k heads by RMS (where q_norm, k_norm are given); rotates the
// first 2 · half of each q and k head (where cos is given), in halves (i, i + half) or, interleaved, pairs (2i, 2i + 1);
// writes q, and k and v into the cache at slots[r] (negative: nowhere). Tiles: rows.
struct RopeKvWriteArgs {
  const float* qkv;  // [rows, (heads + 2 · kv_heads) · head_dim]
  const float* cos;  // [rows, half] or null
  const float* sin;
  const float* q_norm;  // [head_dim] or null
  const float* k_norm;
  float* q;  // [rows, heads · head_dim]; null: not wanted
  float* k_cache;
  float* v_cache;
  const int32_t* slots;  // [rows]
  int64_t rows, qkv_stride, heads, kv_heads, head_dim, half;
  int32_t interleaved;
  float eps;
};

// Scaled dot-product attention over KV blocks, packed rows. Row t of sequence b (q_starts[b] <= t < q_starts[b + 1]) stands
// at position context_lens[b] − q_starts[b + 1] + t. score = scale · q·k; softcap c: c · tanh(score / c); ALiBi: + slopes[h] ·
// (j − i); causal: j <= i; window w > 0: i − j < w. Keys are cut into spans of kSpan at absolute positions; each gives (max,
// Σexp, Σexp·v), each Σ ascending, and the spans are merged in ascending order, rescaling decided per query row. A row's bits
// depend on its own q, position and keys alone. A row that sees no key gives 0. Tiles: (sequence, kv head, rows).
struct AttentionArgs {
  const float* q;  // [T, heads, head_dim], rows q_stride apart
  const float* k_cache;
  const float* v_cache;
  float* y;                     // [T, heads, head_dim], rows y_stride apart
  const int32_t* q_starts;      // [batch + 1]
  const int32_t* context_lens;  // [batch]; keys of each sequence, this run's included
  const int32_t* block_tables;  // [batch, max_blocks]
  const float* slopes;          // [heads] or null
  int64_t batch, heads, kv_heads, head_dim, max_blocks, q_stride, y_stride;
  int64_t window;  // 0: all
  int32_t causal;
  float scale, softcap;  // softcap 0: none
};

// y = op(x), n elements. Tiles: chunks.
struct UnaryArgs {
  const float* x;
  float* y;
  int64_t n;
  UnaryOp op;
};

// y = op(a, b), y contiguous of shape dims; strides in elements, 0 where an operand is broadcast. Tiles: chunks of y.
struct BinaryArgs {
  const float* a;
  const float* b;
  float* y;
  int32_t rank;
  int64_t dims[kMaxRank], a_strides[kMaxRank], b_strides[kMaxRank];
  BinaryOp op;
};

// y[i...] = x[i...], 4-byte elements of any type, both strided: transposes, slices, concatenation, broadcasting. Tiles: chunks.
struct CopyArgs {
  const void* x;
  void* y;
  int32_t rank;
  int64_t dims[kMaxRank], x_strides[kMaxRank], y_strides[kMaxRank];
};

// y[outer, inner] = op over the middle axis of x[outer, n, inner], in a fixed order. n 0: 0 for a sum, −inf for a maximum.
// Tiles: chunks of outer.
struct ReduceArgs {
  const float* x;
  float* y;
  int64_t outer, n, inner;
  ReduceOp op;
};

// y[outer, before + n + after, inner]: x[outer, n, inner] between zeros, 4-byte elements of any type. Tiles: chunks of y.
struct PadArgs {
  const void* x;
  void* y;
  int64_t outer, n, inner, before, after;
};

// y = softmax (or its logarithm) over the middle axis of x[outer, n, inner]. Tiles: chunks of outer.
struct SoftmaxArgs {
  const float* x;
  float* y;
  int64_t outer, n, inner;
  int32_t log;
};

// How a window walks over a picture: output (i, j) sees rows i · stride_h − pad_h and on, columns j · stride_w − pad_w and on.
struct Window {
  int64_t height, width;          // of x
  int64_t out_height, out_width;  // of y
  int64_t kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w;
};

// Where the places of a window lie in the picture that they make: (i, j) at row top + i · step_h, column left + j · step_w.
struct Grid {
  int64_t height, width;
  int64_t top, left, step_h, step_w;
};

// y[n, o] = act(bias[o] + Σ_k w[o, k] · x under the window (+ residual[n, o])), k = (channel of o's group, row, column of the
// kernel); what lies outside the picture is 0. Each output is one f32 FMA chain over ascending k, starting from 0; bias, residual and
// activation follow in that order. Tiles: 16 columns of four rows of a picture.
struct Conv2dArgs {
  const float* x;         // [images, groups · in, height, width]
  const float* w;         // [groups · out, in · kernel_h · kernel_w]
  const float* bias;      // [groups · out] or null
  const float* residual;  // as y, or null
  float* y;               // [images, groups · out, grid.height, grid.width]
  int64_t images, groups, in, out;
  Window window;
  Grid grid;
  Activation activation;
};

// The order is shared with lib/ops/pool2d.ts.
enum class PoolOp : int32_t { kMax = 0, kMean = 1 };

// The greatest number under the window (NaN if one is), −inf where there is none; or the sum, ascending, over kernel_h · kernel_w. Tiles:
// planes.
struct Pool2dArgs {
  const float* x;  // [planes, height, width]
  float* y;        // [planes, out_height, out_width]
  int64_t planes;
  Window window;
  PoolOp op;
};

// y[i, j] = x[i / scale, j / scale]. Tiles: planes.
struct Upsample2dArgs {
  const float* x;  // [planes, height, width]
  float* y;
  int64_t planes, height, width, scale;
};

// y = (x − mean) · rsqrt(var + eps) · weight + bias, biased variance, over the channels of a group and their pixels. Sums run in
// an order that depends on the sizes alone. Tiles: groups of a picture.
struct GroupNormArgs {
  const float* x;       // [images, groups, channels, pixels]
  const float* weight;  // [groups, channels]
  const float* bias;
  float* y;
  int64_t images, groups, channels, pixels;
  float eps;
};

// Activations for linear_bf16_dot of the same level: bf16 of x[rows, k], nearest even, an odd k padded with one 0. Rows lie one
// after the other, y_stride apart; with AMX, y_stride is the even k, and 16 rows (the last ones: as many as there are) make
// blocks [rows][32] of ascending k, the last as narrow as k is. `transposed`: x is [k, rows]. Tiles: rows; transposed or with AMX, 16
// of them.
struct ToBF16Args {
  const float* x;
  uint16_t* y;
  int64_t rows, k, x_stride, y_stride;
  int32_t transposed;
};

// y[r, i] = x[i, r], x [k, rows]. Tiles: 16 rows of y.
struct TransposeArgs {
  const float* x;
  float* y;
  int64_t rows, k, x_stride, y_stride;
};

// The ways of reading memory of which one is a machine's fastest: in order, in order with lines fetched so many bytes ahead,
// several streams at once. The order is shared with lib/exec/peaks.ts.
enum class ReadPattern : int32_t {
  kPlain = 0,
  kAhead1K = 1,
  kAhead4K = 2,
  kStreams4 = 3,
  kStreams8 = 4,
};

// For measurements. Reads n numbers, none of them subnormal, and does next to nothing with them. Tiles: kPeakReadTile numbers.
struct PeakReadArgs {
  const float* x;
  int64_t n;  // a multiple of kPeakReadTile
  ReadPattern pattern;
};
constexpr int64_t kPeakReadTile = int64_t{1} << 20;

// For measurements. Multiply-adds in registers, as many at once as a register tile of the linears has; a multiply-add counts
// as two operations. Tiles: kPeakTileOps operations.
struct PeakComputeArgs {
  int64_t ops;  // a multiple of kPeakTileOps
};
constexpr int64_t kPeakTileOps = int64_t{3} << 24;

// Index of the first greatest element (NaN never wins), the element, and Σ exp(x − max), in an order that depends on n alone.
struct RowStats {
  int64_t argmax;
  float max, sum_exp;
};

template <class Args>
struct Kernel {
  int64_t (*tiles)(const Args&);
  size_t (*scratch)(const Args&);  // bytes a thread needs; null: none
  void (*run)(const Args&, int64_t begin, int64_t end, void* scratch);
};

template <class Args>
size_t ScratchOf(const Kernel<Args>& kernel, const Args& args) {
  return kernel.scratch ? kernel.scratch(args) : 0;
}

struct TrainingKernels;  // kernel_training.h
struct GradientKernels;  // kernel_gradients.h

struct CpuKernels {
  const char* isa;
  Kernel<LinearArgs> linear_f32, linear_f16, linear_bf16;  // f32 activations
  Kernel<LinearArgs> linear_bf16_dot;  // bf16 activations; run is null without an instruction
  Kernel<PackArgs> pack;
  Kernel<PackQ8Args> pack_q8;
  Kernel<EmbeddingArgs> embedding;
  Kernel<NormArgs> rms_norm, layer_norm;
  Kernel<QuantizeRowsArgs> quantize_rows;
  Kernel<QuantizedNormArgs> rms_norm_quantized, layer_norm_quantized;
  Kernel<Int8RowsArgs> int8_rows;
  Kernel<LinearInt8Args> linear_q8, linear_int8;
  Kernel<RopeTableArgs> rope_table;
  Kernel<RopeKvWriteArgs> rope_kv_write;
  Kernel<AttentionArgs> attention;
  Kernel<UnaryArgs> unary;
  Kernel<BinaryArgs> binary;
  Kernel<CopyArgs> copy;
  Kernel<ReduceArgs> reduce;
  Kernel<PadArgs> pad;
  Kernel<SoftmaxArgs> softmax;
  Kernel<Conv2dArgs> conv2d;
  Kernel<Pool2dArgs> pool2d;
  Kernel<Upsample2dArgs> upsample2d;
  Kernel<GroupNormArgs> group_norm;
  Kernel<ToBF16Args> to_bf16;
  Kernel<TransposeArgs> transpose;
  RowStats (*row_stats)(const float* x, int64_t n);
  Kernel<PeakReadArgs> peak_read;
  Kernel<PeakComputeArgs> peak_fma;  // f32
  Kernel<PeakComputeArgs> peak_dot;  // as linear_bf16_dot multiplies; run is null where that is
  Kernel<PeakComputeArgs>
      peak_int8;  // as linear_q8 multiplies few rows: in vector registers, never on tiles
  const TrainingKernels* training;
  const GradientKernels* gradients;
};

// Names of the levels that this binary has and this CPU (and operating system) can run, best first.
// `names` has room for 8; returns how many.
int AvailableIsas(const char** names);

// The best level, or the one named `force` (TRIGA_ISA). Null if that one is unknown or cannot run here.
const CpuKernels* SelectKernels(const char* force);

}  // namespace triga
