// Attention over packed rows and its gradients.
#include <string>

#include "kernels/cpu/kernel_training.h"
#include "native/attention_shape.h"
#include "native/error.h"
#include "native/plan.h"

namespace triga {
namespace {

[[noreturn]] void Fail(const char* message) { throw EngineError(ErrorCode::kInternal, message); }

// Inputs q, k, v and from `at` on q_starts, k_starts, slopes?; attributes scale, causal, window, softcap. What is left out is where
// the result goes.
std::function<PackedAttentionArgs(const RunContext&)> LoadPacked(const StepLoader& l, size_t at) {
  const int32_t k = l.In(1, DType::kF32), v = l.In(2, DType::kF32),
                q_starts = l.In(at, DType::kI32), k_starts = l.In(at + 1, DType::kI32);
  l.ExpectSameShape(k, v);
  l.Expect(l.Rank(k) == 3, "k of [S, Hkv, D]");
  const AttentionShape s =
      LoadAttentionShape(l, l.Optional(at + 2, DType::kF32), l.Fixed(k, 1), l.Fixed(k, 2));
  const int32_t q = s.q, causal = s.causal;
  l.CheckNumbers(l.Key("packed", {q, k, q_starts, k_starts, causal}), {q_starts, k_starts},
                 [=](const RunContext& c) {
                   CheckStarts(c, q_starts, c.Size(q, 0));
                   CheckStarts(c, k_starts, c.Size(k, 0));
                   if (c.Count(q_starts) != c.Count(k_starts))
                     Fail("attention: starts of different lengths");
                   if (!causal) return;
                   for (int64_t b = 0; b + 1 < c.Count(q_starts); ++b) {
                     const int32_t* qs = c.I32(q_starts) + b;
                     const int32_t* ks = c.I32(k_starts) + b;
                     if (ks[1] - ks[0] < qs[1] - qs[0])
                       Fail("attention: fewer keys than queries in a causal sequence");
                   }
                 });
  return [=](const RunContext& c) {
    return PackedAttentionArgs{
        c.F32(s.q),      c.F32(k),        c.F32(v),        nullptr,
        c.I32(q_starts), c.I32(k_starts), c.F32(s.slopes), c.Count(q_starts) - 1,
        c.Size(k, 0),    s.heads,         s.kv_heads,      s.head_dim,
        s.window,        s.causal,        s.scale,         s.softcap};
  };
}

}  // namespace

Step LoadAttention(const StepLoader& l) {
  const auto packed = LoadPacked(l, 3);
  const int32_t y = l.Out(0, DType::kF32);
  l.ExpectSameShape(l.In(0, DType::kF32), y);
  const Kernel<PackedAttentionArgs> kernel = l.kernels.training->packed_attention;
  const auto args = [=](const RunContext& c) {
    PackedAttentionArgs a = packed(c);
    a.y = c.F32(y);
    return a;
  };
  return {"", [=](const RunContext& c) { c.Run(kernel, args(c)); },
          [=](const RunContext& c) { return ScratchOf(kernel, args(c)); }};
}

// Inputs q, k, v, dy, q_starts, k_starts, slopes?; outputs dq, dk, dv.
Step LoadAttentionGrad(const StepLoader& l) {
  const auto packed = LoadPacked(l, 4);
  const int32_t dy = l.In(3, DType::kF32), dq = l.Out(0, DType::kF32), dk = l.Out(1, DType::kF32),
                dv = l.Out(2, DType::kF32);
  for (const int32_t x : {dy, dq}) l.ExpectSameShape(l.In(0, DType::kF32), x);
  for (const int32_t x : {dk, dv}) l.ExpectSameShape(l.In(1, DType::kF32), x);
  const Kernel<AttentionGradArgs> kernel = l.kernels.training->attention_grad;
  const auto args = [=](const RunContext& c) {
    return AttentionGradArgs{packed(c), c.F32(dy), c.F32(dq), c.F32(dk), c.F32(dv)};
  };
  return {"", [=](const RunContext& c) { c.Run(kernel, args(c)); },
          [=](const RunContext& c) { return ScratchOf(kernel, args(c)); }};
}

}  // namespace triga
