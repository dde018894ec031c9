// Steps that make bytes of floats.
#include "native/plan.h"

namespace triga {

// Input x; outputs q, padded to whole groups, and scale.
Step LoadQuantizeRows(const StepLoader& l) {
  const int32_t x = l.In(0, DType::kF32), q = l.Out(0, DType::kI8), scale = l.Out(1, DType::kF32);
  l.ExpectBytesOf(q, scale, x);
  const int64_t k = l.Fixed(x, l.Rank(x) - 1);
  const Kernel<QuantizeRowsArgs> kernel = l.kernels.quantize_rows;
  return {"",
          [=](const RunContext& c) {
            c.Run(kernel, QuantizeRowsArgs{c.F32(x), c.I8(q), c.F32(scale), c.Rows(x), k, k});
          },
          nullptr};
}

}  // namespace triga
