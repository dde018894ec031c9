#include "native/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "native/sampler_draw.h"

namespace triga {
namespace {

// A range of lists.
struct Range {
  const int32_t* ids;
  int64_t size;
  const int32_t* begin() const { return ids; }
  const int32_t* end() const { return ids + size; }
};

struct Row {
  const float* logits;
  const float* floats;
  const int32_t* ints;
  const int32_t* lists;
  int64_t vocab;

  Range List(SampleInt begin) const { return {lists + ints[begin], ints[begin + 1] - ints[begin]}; }
  SampleMode mode() const { return static_cast<SampleMode>(ints[kMode]); }
  bool Has(int32_t id) const { return id >= 0 && id < vocab; }
};

// The raw distribution: log p(x) = Log(x).
struct Distribution {
  int64_t argmax;  // −1: every logit is NaN
  float max;
  double log_sum;

  double Log(float x) const {
    if (std::isnan(x)) return kNone;
    return (x == max ? 0.0 : static_cast<double>(x) - max) - log_sum;
  }
};

// Where the fast sum is not a number, or wants to be exact: in doubles, leaving NaN out; −∞ everywhere gives log p = −∞.
Distribution ExactDistribution(const float* x, int64_t n) {
  Distribution d{-1, 0, 0};
  for (int64_t i = 0; i < n; ++i) {
    if (!std::isnan(x[i]) && (d.argmax < 0 || x[i] > d.max)) {
      d.argmax = i;
      d.max = x[i];
    }
  }
  if (d.argmax < 0 || d.max == -std::numeric_limits<float>::infinity()) {
    d.log_sum = -kNone;
    return d;
  }
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (std::isnan(x[i])) continue;
    sum += x[i] == d.max ? 1.0 : std::exp(static_cast<double>(x[i]) - d.max);
  }
  d.log_sum = std::log(sum);
  return d;
}

Distribution Describe(const Row& row, const CpuKernels& kernels) {
  // A repetition penalty multiplies log-probabilities: their order then hangs on the sum.
  const bool exact = row.mode() == SampleMode::kBeam && row.floats[kRepetitionPenalty] != 1;
  const RowStats stats = kernels.row_stats(row.logits, row.vocab);
  if (exact || stats.argmax < 0 || !std::isfinite(stats.max) || !std::isfinite(stats.sum_exp)) {
    return ExactDistribution(row.logits, row.vocab);
  }
  return {stats.argmax, stats.max, std::log(static_cast<double>(stats.sum_exp))};
}

// Writes the `top` best of x; `log` turns an element into what is written.
template <class T, class Log>
void WriteTop(const SampleArgs& args, int64_t row, const T* x, Scored* scratch, Log log) {
  const int64_t n = args.vocab, k = args.top;
  int32_t* ids = args.top_ids + row * k;
  float* scores = args.top_logprobs + row * k;
  int64_t size = SelectTop(x, n, k, scratch);
  std::sort(scratch, scratch + size, kSmallerIdFirst);
  for (int64_t i = 0; i < size; ++i) {
    ids[i] = scratch[i].id;
    scores[i] = static_cast<float>(log(x[scratch[i].id]));
  }
  for (int64_t i = 0; i < n && size < k; ++i) {
    if (x[i] > kNone) continue;
    ids[size] = static_cast<int32_t>(i);
    scores[size++] = -std::numeric_limits<float>::infinity();
  }
  for (; size < k; ++size) {
    ids[size] = -1;
    scores[size] = -std::numeric_limits<float>::infinity();
  }
}

int64_t ArgMax(const double* x, int64_t n) {
  int64_t best = 0;
  for (int64_t i = 1; i < n; ++i) {
    if (x[i] > x[best]) best = i;
  }
  return best;
}

// ---- Processors: as lib/ops/sampling/processors.ts

bool UsesCounts(const Row& row) {
  return row.floats[kPresencePenalty] != 0 || row.floats[kFrequencyPenalty] != 0;
}

bool HasProcessors(const Row& row) {
  return row.floats[kRepetitionPenalty] != 1 || UsesCounts(row) ||
         row.ints[kNoRepeatNgramSize] > 0 || row.ints[kEncoderNoRepeatNgramSize] > 0 ||
         row.List(kBadWordsBegin).size > 0 || row.List(kSuppressedBegin).size > 0 ||
         row.List(kForcedBegin).size > 0 || row.ints[kAllowedBegin] >= 0;
}

void PenalizeRepetition(const Row& row, double* scores, int32_t* counts) {
  const double penalty = row.floats[kRepetitionPenalty];
  const Range history = row.List(kHistoryBegin);
  for (int32_t id : history) {
    if (row.Has(id)) counts[id] = 0;
  }
  for (int32_t id : history) {
    if (!row.Has(id) || counts[id]++ > 0) continue;
    scores[id] = scores[id] < 0 ? scores[id] * penalty : scores[id] / penalty;
  }
}

void PenalizeCounts(const Row& row, double* scores, int32_t* counts) {
  const double presence = row.floats[kPresencePenalty];
  const double frequency = row.floats[kFrequencyPenalty];
  Range generated = row.List(kHistoryBegin);
  generated.ids += row.ints[kPromptLength];
  generated.size -= row.ints[kPromptLength];
  for (int32_t id : generated) {
    if (row.Has(id)) counts[id] = 0;
  }
  for (int32_t id : generated) {
    if (row.Has(id)) ++counts[id];
  }
  for (int32_t id : generated) {
    if (!row.Has(id) || counts[id] == 0) continue;
    scores[id] = scores[id] - (presence + frequency * counts[id]);
    counts[id] = 0;
  }
}

void Ban(const Row& row, double* scores, int32_t id) {
  if (row.Has(id)) scores[id] = kNone;
}

// Whether the history ends with the n ids at `ids`.
bool EndsWith(const Range& history, const int32_t* ids, int64_t n) {
  return n <= 0 || std::equal(ids, ids + n, history.end() - n);
}

void BanRepeatedNgrams(const Row& row, const Range& source, int64_t n, double* scores) {
  const Range history = row.List(kHistoryBegin);
  if (history.size + 1 < n) return;
  for (int64_t i = 0; i + n <= source.size; ++i) {
    if (EndsWith(history, source.ids + i, n - 1)) Ban(row, scores, source.ids[i + n - 1]);
  }
}

void BanWords(const Row& row, double* scores) {
  const Range history = row.List(kHistoryBegin);
  const Range words = row.List(kBadWordsBegin);
  for (int64_t at = 0; at < words.size; at += 1 + words.ids[at]) {
    const int64_t n = words.ids[at];
    const int32_t* word = words.ids + at + 1;
    if (n > 1 && n > history.size) continue;
    if (EndsWith(history, word, n - 1)) Ban(row, scores, word[n - 1]);
  }
}

void Force(const Row& row, double* scores) {
  const Range forced = row.List(kForcedBegin);
  if (forced.size == 0) return;
  std::fill(scores, scores + row.vocab, kNone);
  for (int32_t id : forced) {
    if (row.Has(id)) scores[id] = 0;
  }
}

void AllowOnly(const Row& row, double* scores) {
  const int32_t begin = row.ints[kAllowedBegin];
  if (begin < 0) return;
  for (int64_t id = 0; id < row.vocab; ++id) {
    const uint32_t word = static_cast<uint32_t>(row.lists[begin + (id >> 5)]);
    if (((word >> (id & 31)) & 1) == 0) scores[id] = kNone;
  }
}

void Process(const Row& row, double* scores, int32_t* counts) {
  if (row.floats[kRepetitionPenalty] != 1) PenalizeRepetition(row, scores, counts);
  if (UsesCounts(row)) PenalizeCounts(row, scores, counts);
  if (const int32_t n = row.ints[kNoRepeatNgramSize]; n > 0) {
    BanRepeatedNgrams(row, row.List(kHistoryBegin), n, scores);
  }
  if (const int32_t n = row.ints[kEncoderNoRepeatNgramSize]; n > 0) {
    BanRepeatedNgrams(row, row.List(kEncoderBegin), n, scores);
  }
  BanWords(row, scores);
  Force(row, scores);
  for (int32_t id : row.List(kSuppressedBegin)) Ban(row, scores, id);
  AllowOnly(row, scores);
}

// ---- The draw

double Uniform(const Row& row) {
  uint32_t words[4] = {static_cast<uint32_t>(row.ints[kPosition]),
                       static_cast<uint32_t>(row.ints[kReturnIndex]), 0, 0};
  Philox4x32(words, static_cast<uint32_t>(row.ints[kSeedLow]),
             static_cast<uint32_t>(row.ints[kSeedHigh]));
  return (static_cast<double>(words[0] >> 5) * 67108864.0 + (words[1] >> 6)) / 9007199254740992.0;
}

// A token, or −1 where nothing is above −∞.
int64_t DrawToken(const Row& row, bool processed, SampleScratch& scratch) {
  const double temperature = row.floats[kTemperature];
  Candidates candidates{scratch};
  if (processed) {
    if (temperature != 1) {
      for (int64_t i = 0; i < row.vocab; ++i) scratch.scores[i] /= temperature;
    }
    candidates.Take(scratch.scores, row.vocab, row.ints[kTopK], 1);
  } else {
    candidates.Take(row.logits, row.vocab, row.ints[kTopK], temperature);
  }
  if (candidates.size == 0) return -1;
  candidates.Weigh();
  if (row.floats[kTopP] < 1) candidates.KeepTopP(row.floats[kTopP]);
  if (const double p = row.floats[kMinP]; p > 0) {
    candidates.Filter([&](int64_t i) { return !(scratch.weights[i] < p); });
  }
  if (row.floats[kTypicalP] < 1) candidates.KeepTypical(row.floats[kTypicalP]);
  return candidates.Draw(Uniform(row));
}

bool InRange(const int32_t* ints, SampleInt begin, int64_t size) {
  return 0 <= ints[begin] && ints[begin] <= ints[begin + 1] && ints[begin + 1] <= size;
}

const char* CheckFloats(const float* f, SampleMode mode) {
  for (int i = 0; i < kSampleFloats - 1; ++i) {
    if (!std::isfinite(f[i])) return "sample: expected finite numbers in row_floats";
  }
  if (mode == SampleMode::kSample && !(f[kTemperature] > 0)) {
    return "sample: expected a temperature above 0";
  }
  if (!(f[kRepetitionPenalty] > 0)) return "sample: expected a repetitionPenalty above 0";
  return nullptr;
}

const char* CheckInts(const int32_t* ints, const int32_t* lists, int64_t vocab, int64_t size) {
  if (ints[kMode] < 0 || ints[kMode] > 2) return "sample: expected mode 0, 1 or 2";
  if (ints[kTopK] < 0 || ints[kNoRepeatNgramSize] < 0 || ints[kEncoderNoRepeatNgramSize] < 0) {
    return "sample: expected topK and n-gram sizes of 0 or more";
  }
  for (SampleInt begin :
       {kHistoryBegin, kEncoderBegin, kBadWordsBegin, kSuppressedBegin, kForcedBegin}) {
    if (!InRange(ints, begin, size)) return "sample: expected ranges within lists";
  }
  if (ints[kPromptLength] < 0 || ints[kPromptLength] > ints[kHistoryEnd] - ints[kHistoryBegin]) {
    return "sample: expected a promptLength within the history";
  }
  const int64_t allowed = ints[kAllowedBegin];
  if (allowed < -1 || (allowed >= 0 && allowed + (vocab + 31) / 32 > size)) {
    return "sample: expected the mask of allowed ids within lists, or -1";
  }
  for (int64_t at = ints[kBadWordsBegin], end = ints[kBadWordsEnd]; at < end;) {
    const int64_t length = lists[at];
    if (length < 1 || length > end - at - 1) return "sample: expected bad words as [length, ids…]";
    at += 1 + length;
  }
  return nullptr;
}

}  // namespace

size_t SampleScratch::Bytes(int64_t vocab) {
  const size_t n = (static_cast<size_t>(vocab) + 15) / 16 * 16;
  return n * (3 * sizeof(double) + sizeof(Scored) + 2 * sizeof(int32_t));
}

SampleScratch::SampleScratch(void* memory, int64_t vocab) {
  const size_t n = (static_cast<size_t>(vocab) + 15) / 16 * 16;
  scores = static_cast<double*>(memory);
  values = scores + n;
  weights = values + n;
  sorted = reinterpret_cast<Scored*>(weights + n);
  ids = reinterpret_cast<int32_t*>(sorted + n);
  counts = ids + n;
}

const char* CheckSampleArgs(const SampleArgs& args) {
  if (args.vocab < 1 || args.vocab > INT32_MAX) return "sample: expected a vocabulary of 1 or more";
  for (int64_t r = 0; r < args.rows; ++r) {
    const int32_t* ints = args.row_ints + r * kSampleInts;
    if (const char* wrong = CheckInts(ints, args.lists, args.vocab, args.list_size)) return wrong;
    const float* floats = args.row_floats + r * kSampleFloats;
    const SampleMode mode = static_cast<SampleMode>(ints[kMode]);
    if (const char* wrong = CheckFloats(floats, mode)) return wrong;
  }
  return nullptr;
}

void SampleRow(const SampleArgs& args, int64_t r, const CpuKernels& kernels,
               SampleScratch& scratch) {
  const Row row{args.logits + r * args.logits_stride, args.row_floats + r * kSampleFloats,
                args.row_ints + r * kSampleInts, args.lists, args.vocab};
  const Distribution raw = Describe(row, kernels);
  const auto log = [&](float x) { return raw.Log(x); };
  const bool beam = row.mode() == SampleMode::kBeam;
  const bool processed = HasProcessors(row);
  double* scores = scratch.scores;
  if (!beam || !processed) WriteTop(args, r, row.logits, scratch.sorted, log);

  int64_t id = raw.argmax;
  if (processed) {
    for (int64_t i = 0; i < row.vocab; ++i) {
      const float x = row.logits[i];
      scores[i] = beam ? raw.Log(x) : std::isnan(x) ? kNone : x;
    }
    Process(row, scores, scratch.counts);
    if (beam) WriteTop(args, r, scores, scratch.sorted, [](double x) { return x; });
    const int64_t best = ArgMax(scores, row.vocab);
    if (scores[best] > kNone) id = best;
  }
  if (row.mode() == SampleMode::kSample) {
    const int64_t drawn = DrawToken(row, processed, scratch);
    if (drawn >= 0) id = drawn;
  }
  args.ids[r] = static_cast<int32_t>(id);
  args.logprobs[r] = id < 0 ? -std::numeric_limits<float>::infinity()
                            : static_cast<float>(raw.Log(row.logits[id]));
}

void Philox4x32(uint32_t counter[4], uint32_t key0, uint32_t key1) {
  uint32_t* c = counter;
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * c[0];
    const uint64_t b = uint64_t{0xCD9E8D57} * c[2];
    const uint32_t c0 = static_cast<uint32_t>(b >> 32) ^ c[1] ^ key0;
    const uint32_t c2 = static_cast<uint32_t>(a >> 32) ^ c[3] ^ key1;
    c[0] = c0;
    c[1] = static_cast<uint32_t>(b);
    c[2] = c2;
    c[3] = static_cast<uint32_t>(a);
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
}

}  // namespace triga
