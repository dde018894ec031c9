// What a core can do at most, in the level's own instructions: reads of memory, and multiply-adds in
// registers. For measurements: the shares that benchmarks report are shares of these.
//
// Reads: whole lines, by one of the patterns of kernel.h; which is fastest depends on the machine.
// Multiply-adds: in as many chains as a register tile of the linears has, so that the latency of one
// hides behind the others. Every product has a factor of its own (acc · x + x), so that a level
// without fma cannot share it. x is 1, which the compiler does not know: chains count their rounds.
#pragma once
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/simd/dot_bf16.h"
#include "kernels/cpu/simd/int8.h"
#include "kernels/cpu/simd/vec.h"

namespace triga {
namespace {

// Results go there, so that the compiler leaves nothing out.
inline size_t peak_scratch(const PeakReadArgs&) { return 64; }
inline size_t peak_scratch(const PeakComputeArgs&) { return 64; }

inline int64_t peak_read_tiles(const PeakReadArgs& a) { return a.n / kPeakReadTile; }

// Streams at equal distances, each Width vectors at a time; with Ahead, the lines so many numbers
// further are fetched.
template <int Streams, int Width, int Ahead>
F32x16 peak_read_tile(const float* x) {
  constexpr int64_t length = kPeakReadTile / Streams;
  static_assert(length % (Width * 16) == 0, "streams are whole steps");
  F32x16 sums[Streams * Width];
  for (F32x16& v : sums) v = F32x16::zero();
  for (int64_t i = 0; i < length; i += Width * 16) {
#pragma GCC unroll 16
    for (int s = 0; s < Streams; ++s) {
#pragma GCC unroll 16
      for (int w = 0; w < Width; ++w) {
        const float* p = x + s * length + i + w * 16;
        if constexpr (Ahead > 0) prefetch(p + Ahead);
        sums[s * Width + w] = sums[s * Width + w] + F32x16::load(p);
      }
    }
  }
  for (int i = 1; i < Streams * Width; ++i) sums[0] = sums[0] + sums[i];
  return sums[0];
}

inline void peak_read_run(const PeakReadArgs& a, int64_t begin, int64_t end, void* scratch) {
  using Read = F32x16 (*)(const float*);
  constexpr Read kReads[] = {
      peak_read_tile<1, 4, 0>, peak_read_tile<1, 4, 256>, peak_read_tile<1, 4, 1024>,
      peak_read_tile<4, 1, 0>, peak_read_tile<8, 1, 0>,
  };
  const Read read = kReads[static_cast<int32_t>(a.pattern)];
  for (int64_t tile = begin; tile < end; ++tile)
    read(a.x + tile * kPeakReadTile).store(static_cast<float*>(scratch));
}

inline int64_t peak_compute_tiles(const PeakComputeArgs& a) { return a.ops / kPeakTileOps; }

constexpr int kPeakChains = kMaxTileRows * tile_panels(kMaxTileRows);

// Runs acc = step(acc, ones) in every chain, often enough for `tiles` tiles. Each chain loads what it
// begins with: the compiler would run equal ones once.
template <int64_t kOps, class Step>
TRIGA_INLINE void peak_chains(int64_t tiles, void* scratch, Step step) {
  static_assert(kPeakTileOps % (kOps * kPeakChains) == 0, "tiles are whole rounds");
  alignas(64) float numbers[16 + kPeakChains];
  for (float& x : numbers) x = 1;
  const float* p = numbers;
  __asm__ volatile("" : "+r"(p) : : "memory");
  F32x16 acc[kPeakChains];
#pragma GCC unroll 32
  for (int c = 0; c < kPeakChains; ++c) acc[c] = F32x16::load(p + c);
  for (int64_t i = tiles * (kPeakTileOps / (kOps * kPeakChains)); i > 0; --i) {
    __asm__ volatile("" : : : "memory");  // operands are loaded anew
#pragma GCC unroll 32
    for (int c = 0; c < kPeakChains; ++c) acc[c] = step(acc[c], p);
  }
#pragma GCC unroll 32
  for (int c = 1; c < kPeakChains; ++c) acc[0] = acc[0] + acc[c];
  acc[0].store(static_cast<float*>(scratch));
}

inline void peak_fma_run(const PeakComputeArgs&, int64_t begin, int64_t end, void* scratch) {
  peak_chains<32>(end - begin, scratch, [](F32x16 acc, const float* p) {
    const F32x16 x = F32x16::load(p);
    return fma(acc, x, x);
  });
}
constexpr int kPeakInt8Chains = kInt8TileDots * int8_tile_panels(kInt8TileDots);

// The same for bytes: products of a panel's bytes and x, both 1, in the chains of int8's register tile.
inline void peak_int8_run(const PeakComputeArgs&, int64_t begin, int64_t end, void* scratch) {
  constexpr int64_t kOps = 2 * Int8Dot::kRows * kPanel * 4 * Int8Dot::kQuads;
  static_assert(kPeakTileOps % (kOps * kPeakInt8Chains) == 0, "tiles are whole rounds");
  constexpr int kFactors = Int8Dot::kQuads * 64 + 64;
  alignas(64) char ones[kFactors];
  for (int i = 0; i < kFactors; ++i) ones[i] = 1;
  alignas(64) char starts[4 * Int8Dot::kRows + kPeakInt8Chains] = {};
  const char* p = ones;
  const char* q = starts;
  __asm__ volatile("" : "+r"(p), "+r"(q) : : "memory");
  Int8Dot::Sums sums[kPeakInt8Chains];
#pragma GCC unroll 32
  for (int c = 0; c < kPeakInt8Chains; ++c) sums[c] = Int8Dot::start(q + c);
  for (int64_t i = (end - begin) * (kPeakTileOps / (kOps * kPeakInt8Chains)); i > 0; --i) {
    __asm__ volatile("" : : : "memory");  // operands are loaded anew
    const Int8Dot::W w = Int8Dot::load(p);
    const Int8Dot::X x = Int8Dot::load_x(p + Int8Dot::kQuads * 64);
#pragma GCC unroll 32
    for (int c = 0; c < kPeakInt8Chains; ++c) Int8Dot::dot(sums[c], w, x);
  }
  F32x16 all = F32x16::zero();
#pragma GCC unroll 32
  for (int c = 0; c < kPeakInt8Chains; ++c) all = all + Int8Dot::row<0>(sums[c]);
  all.store(static_cast<float*>(scratch));
}

#if !defined(__AMX_BF16__)  // peaks_amx.h
inline void peak_dot_run(const PeakComputeArgs&, int64_t begin, int64_t end, void* scratch) {
  peak_chains<64>(end - begin, scratch, [](F32x16 acc, const float* p) {
    const uint16_t* pairs = reinterpret_cast<const uint16_t*>(p);
    return dot_bf16(acc, pairs, pairs);
  });
}
constexpr Kernel<PeakComputeArgs> peak_dot_kernel() {
  return {peak_compute_tiles, peak_scratch, kHasDotBF16 ? peak_dot_run : nullptr};
}
#endif

}  // namespace
}  // namespace triga
