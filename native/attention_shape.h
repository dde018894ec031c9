// What the steps of paged and packed attention share.
#pragma once
#include <cstdint>

#include "native/plan.h"

namespace triga {

// Operands and attributes of attention: q [T, H, D], slopes (−1: none); attributes scale, causal, window, softcap.
struct AttentionShape {
  int32_t q, slopes;
  int64_t heads, kv_heads, head_dim, window;
  int32_t causal;
  float scale, softcap;
};

// Input 0 is q. Throws EngineError naming the step.
AttentionShape LoadAttentionShape(const StepLoader& l, int32_t slopes, int64_t kv_heads,
                                  int64_t head_dim);

// Sequence boundaries ascend from 0 to the rows. Throws EngineError.
void CheckStarts(const RunContext& c, int32_t starts, int64_t rows);

}  // namespace triga
