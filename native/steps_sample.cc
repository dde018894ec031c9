// The step that chooses tokens: one tile a row.
#include "native/error.h"
#include "native/plan.h"
#include "native/sampler.h"

namespace triga {

// Inputs logits, row_floats, row_ints, lists; outputs ids, logprobs, top_ids, top_logprobs.
Step LoadSample(const StepLoader& l) {
  const int32_t logits = l.In(0, DType::kF32), floats = l.In(1, DType::kF32),
                ints = l.In(2, DType::kI32), lists = l.In(3, DType::kI32);
  const int32_t ids = l.Out(0, DType::kI32), logprobs = l.Out(1, DType::kF32),
                top_ids = l.Out(2, DType::kI32), top_logprobs = l.Out(3, DType::kF32);
  l.Expect(l.Rank(logits) == 2 && l.Rank(floats) == 2 && l.Rank(ints) == 2 && l.Rank(lists) == 1,
           "matrices of rows, and lists");
  const Dim rows = l.DimOf(logits, 0);
  for (const int32_t v : {floats, ints, ids, logprobs, top_ids, top_logprobs})
    l.Expect(l.DimOf(v, 0) == rows, "one row for each");
  l.Expect(l.Fixed(floats, 1) == kSampleFloats && l.Fixed(ints, 1) == kSampleInts,
           "the columns of a row");
  l.ExpectSameShape(top_ids, top_logprobs);
  const int64_t vocab = l.Fixed(logits, 1);
  const auto args = [=](const RunContext& c) {
    return SampleArgs{c.F32(logits),
                      c.F32(floats),
                      c.I32(ints),
                      c.I32(lists),
                      reinterpret_cast<int32_t*>(c.Address(ids)),
                      c.F32(logprobs),
                      reinterpret_cast<int32_t*>(c.Address(top_ids)),
                      c.F32(top_logprobs),
                      c.Size(logits, 0),
                      vocab,
                      c.Size(top_ids, 1),
                      c.Count(lists),
                      vocab};
  };
  l.CheckNumbers(l.Key("sample", {floats, ints, lists}), {floats, ints, lists},
                 [=](const RunContext& c) {
                   if (const char* wrong = CheckSampleArgs(args(c)))
                     throw EngineError(ErrorCode::kInternal, wrong);
                 });
  return {"",
          [=](const RunContext& c) {
            struct Call {
              SampleArgs args;
              const RunContext* context;
            } call{args(c), &c};
            Pool::Get().ParallelFor(
                call.args.rows, c.threads,
                [](void* p, int64_t begin, int64_t end, int thread) {
                  const Call& s = *static_cast<Call*>(p);
                  SampleScratch scratch(
                      s.context->scratch + static_cast<size_t>(thread) * s.context->scratch_stride,
                      s.args.vocab);
                  for (int64_t row = begin; row < end; ++row)
                    SampleRow(s.args, row, *s.context->kernels, scratch);
                },
                &call);
          },
          [=](const RunContext&) { return SampleScratch::Bytes(vocab); }};
}

}  // namespace triga
