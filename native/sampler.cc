#include "native/sampler.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace triga {
namespace {

constexpr double kNone = -std::numeric_limits<double>::infinity();

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

  Range List(SampleInt begin) const {
    return {lists + ints[begin], ints[begin + 1] - ints[begin]};
  }
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

// ---- exp, bit for bit that of lib/ops/sampling/exact_exp.ts, whose argument is no lower than −700.
constexpr double kLowest = -700;

// −700 <= inside <= 0. Without branches, so that loops of it become vector code.
inline double ExactExp(double inside) {
  constexpr double kToInteger = 6755399441055744.0;  // 1.5 · 2⁵²
  const double shifted = inside * 1.4426950408889634 + kToInteger;
  const double n = shifted - kToInteger;
  const double r = inside - n * 0.6931471803691238 - n * 1.9082149292705877e-10;
  double sum = 1.6059043836821613e-10;
  sum = sum * r + 2.08767569878681e-9;
  sum = sum * r + 2.505210838544172e-8;
  sum = sum * r + 2.755731922398589e-7;
  sum = sum * r + 2.7557319223985893e-6;
  sum = sum * r + 2.48015873015873e-5;
  sum = sum * r + 1.984126984126984e-4;
  sum = sum * r + 1.388888888888889e-3;
  sum = sum * r + 8.333333333333333e-3;
  sum = sum * r + 4.1666666666666664e-2;
  sum = sum * r + 1.6666666666666666e-1;
  sum = sum * r + 0.5;
  sum = sum * r + 1.0;
  sum = sum * r + 1.0;
  uint64_t bits;  // the low bits of `shifted` are n
  std::memcpy(&bits, &shifted, sizeof bits);
  bits = (bits + 1023) << 52;
  double power;
  std::memcpy(&power, &bits, sizeof power);
  return sum * power;
}

// ---- Selection

// Greater keys first; of equals the smaller id. Objects, not functions: the sorts then compare in line.
constexpr auto kSmallerIdFirst = [](const Scored& a, const Scored& b) {
  return a.key > b.key || (a.key == b.key && a.id < b.id);
};
// Of equals the greater id, as an ascending stable sort read from its end.
constexpr auto kGreaterIdFirst = [](const Scored& a, const Scored& b) {
  return a.key > b.key || (a.key == b.key && a.id > b.id);
};

// The k greatest of x above −∞ (NaN counts as −∞), unsorted, of equals the smaller ids, in `out`, which holds n; returns how
// many. One pass: a buffer of a few k is cut back to k whenever it is full, which raises the bar for all that follows.
template <class T>
int64_t SelectTop(const T* x, int64_t n, int64_t k, Scored* out) {
  k = std::min(k, n);
  if (k == 0) return 0;
  const int64_t room = std::min(n, std::max<int64_t>(4 * k, 256));
  T bar = -std::numeric_limits<T>::infinity();
  int64_t size = 0;
  const auto cut = [&] {
    std::nth_element(out, out + (k - 1), out + size, kSmallerIdFirst);
    size = k;
    bar = static_cast<T>(out[k - 1].key);
  };
  for (int64_t i = 0; i < n; ++i) {
    if (!(x[i] > bar)) continue;
    if (size == room) {
      cut();
      if (!(x[i] > bar)) continue;
    }
    out[size++] = {static_cast<double>(x[i]), static_cast<int32_t>(i)};
  }
  if (size > k) cut();
  return size;
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

// ---- Candidates: what may be drawn, ascending ids. Warpers as lib/ops/sampling/warpers.ts.

struct Candidates {
  SampleScratch& scratch;
  int64_t size = 0;

  // All of x above −∞, or with k > 0 those not less than the k-th, divided by the temperature. It keeps the order of distinct
  // f32 logits; processed scores are divided before.
  template <class T>
  void Take(const T* x, int64_t n, int64_t k, double temperature) {
    double limit = kNone;
    if (k > 0 && k < n && SelectTop(x, n, k, scratch.sorted) == k) {
      limit = std::min_element(scratch.sorted, scratch.sorted + k, [](const Scored& a,
                                                                      const Scored& b) {
                return a.key < b.key;
              })->key;
    }
    for (int64_t i = 0; i < n; ++i) {
      if (!(x[i] >= limit) || x[i] == kNone) continue;
      scratch.ids[size] = static_cast<int32_t>(i);
      scratch.values[size++] = temperature == 1 ? x[i] : x[i] / temperature;
    }
  }

  double Max() const {
    double max = kNone;
    for (int64_t i = 0; i < size; ++i) max = std::max(max, scratch.values[i]);
    return max;
  }

  double Sum() const {
    double sum = 0;
    for (int64_t i = 0; i < size; ++i) sum += scratch.weights[i];
    return sum;
  }

  void Weigh() {
    const double max = Max();
    const double* values = scratch.values;
    double* weights = scratch.weights;
    double min = max;
    for (int64_t i = 0; i < size; ++i) min = std::min(min, values[i]);
    if (max - min < -kLowest) {
      for (int64_t i = 0; i < size; ++i) weights[i] = ExactExp(values[i] - max);
      return;
    }
    for (int64_t i = 0; i < size; ++i) {
      weights[i] = values[i] == max ? 1.0 : ExactExp(std::max(values[i] - max, kLowest));
    }
  }

  template <class Keep>
  void Filter(Keep keep) {
    int64_t to = 0;
    for (int64_t i = 0; i < size; ++i) {
      if (!keep(i)) continue;
      scratch.ids[to] = scratch.ids[i];
      scratch.values[to] = scratch.values[i];
      scratch.weights[to++] = scratch.weights[i];
    }
    size = to;
  }

  int64_t IndexOf(int32_t id) const {
    return std::lower_bound(scratch.ids, scratch.ids + size, id) - scratch.ids;
  }

  // Calls visit(Scored) on the first `n` of scratch.sorted in order until it returns false; sorts no more than a little beyond.
  template <class Visit>
  void InOrder(int64_t n, Visit visit) {
    Scored* all = scratch.sorted;
    for (int64_t from = 0, chunk = 128; from < n; from += chunk, chunk *= 8) {
      const int64_t to = std::min(n, from + chunk);
      if (to < n) std::nth_element(all + from, all + to, all + n, kGreaterIdFirst);
      std::sort(all + from, all + to, kGreaterIdFirst);
      for (int64_t i = from; i < to; ++i) {
        if (!visit(all[i])) return;
      }
    }
  }

  void KeepTopP(double p) {
    const double sum = Sum();
    const double mass = p * sum;
    // All below this weight together hold less than half of what is cut off, so none of them is kept.
    const double floor = 0.5 * (sum - mass) / static_cast<double>(size);
    int64_t n = 0;
    for (int64_t i = 0; i < size; ++i) {
      if (scratch.weights[i] >= floor) scratch.sorted[n++] = {scratch.values[i], scratch.ids[i]};
    }
    double before = 0;
    bool first = true;
    Scored last{kNone, 0};
    InOrder(n, [&](const Scored& s) {
      if (!first && before >= mass) return false;
      first = false;
      last = s;
      before += scratch.weights[IndexOf(s.id)];
      return true;
    });
    Filter([&](int64_t i) { return !kGreaterIdFirst(last, {scratch.values[i], scratch.ids[i]}); });
  }

  void KeepTypical(double p) {
    const double max = Max();
    const auto below = [&](int64_t i) {
      return scratch.values[i] == max ? 0.0 : scratch.values[i] - max;
    };
    double sum = 0, weighted = 0;
    for (int64_t i = 0; i < size; ++i) {
      sum += scratch.weights[i];
      if (scratch.weights[i] > 0) weighted += scratch.weights[i] * below(i);
    }
    const double mean = weighted / sum;
    const auto distance = [&](int64_t i) { return std::abs(mean - below(i)); };
    for (int64_t i = 0; i < size; ++i) scratch.sorted[i] = {-distance(i), scratch.ids[i]};
    double limit = 0, before = 0;
    InOrder(size, [&](const Scored& s) {
      limit = -s.key;
      before += scratch.weights[IndexOf(s.id)];
      return !(before >= p * sum);
    });
    Filter([&](int64_t i) { return distance(i) <= limit; });
  }

  int32_t Draw(double u) const {
    const double target = u * Sum();
    double sum = 0;
    int32_t last = -1;
    for (int64_t i = 0; i < size; ++i) {
      if (scratch.weights[i] == 0) continue;
      sum += scratch.weights[i];
      last = scratch.ids[i];
      if (sum > target) break;
    }
    return last;
  }
};

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
