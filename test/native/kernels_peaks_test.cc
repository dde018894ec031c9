// The kernels that measure the machine: what they claim to have read and computed, they have.
#include "test/native/kernels_harness.h"

namespace triga::test {
namespace {

double Sum(const float* x, int64_t n) {
  double total = 0;
  for (int64_t i = 0; i < n; ++i) total += x[i];
  return total;
}

// A tile leaves the sums of what it read, in 16 lanes.
void TestRead(const CpuKernels& k) {
  vector<float> x(3 * kPeakReadTile);
  // Whole numbers, so that sums are exact in any order, and others in each eighth of a tile.
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>((i >> 17) % 24 % 7 + i % 3);
  for (int32_t p = 0; p <= static_cast<int32_t>(ReadPattern::kStreams8); ++p) {
    const PeakReadArgs a{x.data(), static_cast<int64_t>(x.size()), static_cast<ReadPattern>(p)};
    const std::string what = "read pattern " + std::to_string(p);
    Check(k.peak_read.tiles(a) == 3, what + ": three tiles");
    for (int64_t t = 0; t < 3; ++t) {
      Scratch scratch(k.peak_read.scratch(a));
      float* sums = static_cast<float*>(scratch.Fill());
      k.peak_read.run(a, t, t + 1, sums);
      scratch.CheckGuard();
      const double want = Sum(x.data() + t * kPeakReadTile, kPeakReadTile);
      Check(Sum(sums, 16) == want, what + ": a tile is read once, all of it");
    }
  }
}

// Each of some chains begins at 1 (those of matrix tiles at 0) and grows by 1 a round, of `ops` operations in all lanes.
void TestCompute(const Kernel<PeakComputeArgs>& kernel, int64_t ops, const std::string& what) {
  if (!kernel.run) return;
  const PeakComputeArgs a{2 * kPeakTileOps};
  Check(kernel.tiles(a) == 2, what + ": two tiles");
  Scratch scratch(kernel.scratch(a));
  float* sums = static_cast<float*>(scratch.Fill());
  kernel.run(a, 0, 1, sums);
  scratch.CheckGuard();
  const double chains = sums[0] - static_cast<double>(kPeakTileOps / ops);
  Check(chains >= 0 && chains <= 32 && chains == std::floor(chains), what + ": rounds of a tile");
  for (int i = 1; i < 16; ++i) Check(sums[i] == sums[0], what + ": lanes alike");
}

// Sums of products begin at 0 and grow alike in every tile.
void TestInt8Compute(const Kernel<PeakComputeArgs>& kernel) {
  const PeakComputeArgs a{2 * kPeakTileOps};
  Scratch scratch(kernel.scratch(a));
  float* sums = static_cast<float*>(scratch.Fill());
  kernel.run(a, 0, 1, sums);
  const float one = sums[0];
  kernel.run(a, 0, 2, sums);
  scratch.CheckGuard();
  Check(one != 0 && sums[0] == 2 * one, "int8 products: rounds of a tile");
  for (int i = 1; i < 16; ++i) Check(sums[i] == sums[0], "int8 products: lanes alike");
}

}  // namespace

void TestPeaks(const CpuKernels& k) {
  where = std::string(k.isa) + " peaks";
  TestRead(k);
  TestCompute(k.peak_fma, 32, "multiply-adds");
  TestCompute(k.peak_dot, 64, "dot products");
  TestInt8Compute(k.peak_int8);
}

}  // namespace triga::test
