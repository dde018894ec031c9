// The op `sample`: the next token of each row of logits. lib/ops/sampling/ is its definition; here are the same ids for the same
// f32 logits, without a full sort. Every number that decides is a double, computed in the order that the definition says.
#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/cpu/kernel.h"

namespace triga {

// The order is shared with lib/ops/sampling/row.ts.
enum class SampleMode : int32_t { kGreedy = 0, kSample = 1, kBeam = 2 };

// Columns of row_floats; the order is shared with lib/ops/sampling/row.ts.
enum SampleFloat : int32_t {
  kTemperature = 0,
  kTopP = 1,
  kMinP = 2,
  kTypicalP = 3,
  kRepetitionPenalty = 4,
  kPresencePenalty = 5,
  kFrequencyPenalty = 6,
  kSampleFloats = 8,
};

// Columns of row_ints; the order is shared with lib/ops/sampling/row.ts. A Begin and its End are a range of lists.
enum SampleInt : int32_t {
  kMode = 0,
  kTopK = 1,
  kNoRepeatNgramSize = 2,
  kEncoderNoRepeatNgramSize = 3,
  kSeedLow = 4,
  kSeedHigh = 5,
  kReturnIndex = 6,
  kPosition = 7,
  kHistoryBegin = 8,
  kHistoryEnd = 9,
  kPromptLength = 10,
  kEncoderBegin = 11,
  kEncoderEnd = 12,
  kBadWordsBegin = 13,
  kBadWordsEnd = 14,
  kSuppressedBegin = 15,
  kSuppressedEnd = 16,
  kForcedBegin = 17,
  kForcedEnd = 18,
  kAllowedBegin = 19,
  kSampleInts = 24,
};

// logits [rows, vocab], logits_stride elements between rows; row_floats [rows, 8]; row_ints [rows, 24]; lists [list_size].
// ids, logprobs [rows]; top_ids, top_logprobs [rows, top].
struct SampleArgs {
  const float* logits;
  const float* row_floats;
  const int32_t* row_ints;
  const int32_t* lists;
  int32_t* ids;
  float* logprobs;
  int32_t* top_ids;
  float* top_logprobs;
  int64_t rows, vocab, top, list_size, logits_stride;
};

// A score and its id.
struct Scored {
  double key;
  int32_t id;
};

// Working memory of one thread, laid over `Bytes(vocab)` bytes aligned to 64, whatever they hold.
struct SampleScratch {
  static size_t Bytes(int64_t vocab);
  SampleScratch(void* memory, int64_t vocab);

  double* scores;   // [vocab] processed scores
  double* values;   // [vocab] those of the candidates
  double* weights;  // [vocab] exp(value − max) of the candidates
  Scored* sorted;   // [vocab]
  int32_t* ids;     // [vocab] candidates, ascending
  int32_t* counts;  // [vocab]
};

// What is wrong with the numbers in row_floats, row_ints and lists; null: nothing, and SampleRow reads and writes only its own
// memory. Ids that lie in lists may be any; those outside the vocabulary are left out of account.
const char* CheckSampleArgs(const SampleArgs& args);

// The outputs of one row. Rows do not depend on one another.
void SampleRow(const SampleArgs& args, int64_t row, const CpuKernels& kernels,
               SampleScratch& scratch);

// Philox4x32-10 (Salmon et al., SC 2011): replaces the counter by four random words.
void Philox4x32(uint32_t counter[4], uint32_t key0, uint32_t key1);

}  // namespace triga
