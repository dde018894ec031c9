// Steps that measure the machine and belong to no model: lib/exec/peaks.ts makes plans of them, and times their runs.
#include "native/plan.h"

namespace triga {
namespace {

// Attribute: operations, a multiple of a tile's.
Step LoadCompute(const StepLoader& l, const Kernel<PeakComputeArgs>& kernel) {
  const PeakComputeArgs args{l.Int(0, 0, int64_t{1} << 50)};
  l.Expect(kernel.run != nullptr, "an instruction that this level has");
  l.Expect(args.ops % kPeakTileOps == 0, "operations of whole tiles");
  return {"", [=](const RunContext& c) { c.Run(kernel, args); },
          [=](const RunContext&) { return ScratchOf(kernel, args); }};
}

}  // namespace

// Input: a state; attribute: the pattern.
Step LoadPeakRead(const StepLoader& l) {
  const int32_t x = l.In(0, DType::kF32);
  l.Expect(l.Rank(x) == 1 && l.Fixed(x, 0) % kPeakReadTile == 0, "numbers of whole tiles");
  const ReadPattern pattern =
      static_cast<ReadPattern>(l.Int(0, 0, static_cast<int64_t>(ReadPattern::kStreams8)));
  const Kernel<PeakReadArgs> kernel = l.kernels.peak_read;
  const auto args = [=](const RunContext& c) {
    return PeakReadArgs{c.F32(x), c.Count(x), pattern};
  };
  return {"", [=](const RunContext& c) { c.Run(kernel, args(c)); },
          [=](const RunContext& c) { return ScratchOf(kernel, args(c)); }};
}

Step LoadPeakFma(const StepLoader& l) { return LoadCompute(l, l.kernels.peak_fma); }
Step LoadPeakDot(const StepLoader& l) { return LoadCompute(l, l.kernels.peak_dot); }
Step LoadPeakInt8(const StepLoader& l) { return LoadCompute(l, l.kernels.peak_int8); }

}  // namespace triga
