// Replays cases of the op `sample` that sampler.test.ts wrote with the TypeScript reference, and compares; with "bench", times it.
// A case: int32 rows, vocab, top, list_size; then logits, row_floats, row_ints, lists, and the wanted ids, logprobs, top_ids,
// top_logprobs. The file begins with their number.
#include "native/sampler.h"

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace triga {
namespace {

RowStats PlainRowStats(const float* x, int64_t n) {
  int64_t best = -1;
  for (int64_t i = 0; i < n; ++i) {
    if (!std::isnan(x[i]) && (best < 0 || x[i] > x[best])) best = i;
  }
  if (best < 0) return {-1, -std::numeric_limits<float>::infinity(), 0};
  float sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += std::exp(x[i] - x[best]);
  return {best, x[best], sum};
}

template <class T>
std::vector<T> Read(FILE* file, int64_t n) {
  std::vector<T> v(static_cast<size_t>(n));
  if (n > 0 && std::fread(v.data(), sizeof(T), v.size(), file) != v.size()) {
    std::fprintf(stderr, "the case file is too short\n");
    std::exit(2);
  }
  return v;
}

bool Close(float a, float b) {
  return a == b || std::abs(a - b) <= 1e-5f * std::max(1.0f, std::abs(b));
}

struct Memory {
  explicit Memory(int64_t vocab) : bytes(SampleScratch::Bytes(vocab), '\x5a') {}
  std::vector<char> bytes;
};

int Replay(const char* path, const CpuKernels& kernels) {
  FILE* file = std::fopen(path, "rb");
  if (!file) return 2;
  const int32_t cases = Read<int32_t>(file, 1)[0];
  int failures = 0;
  for (int32_t c = 0; c < cases; ++c) {
    const auto dims = Read<int32_t>(file, 4);
    const int64_t r = dims[0], v = dims[1], k = dims[2], l = dims[3];
    const auto logits = Read<float>(file, r * v);
    const auto floats = Read<float>(file, r * kSampleFloats);
    const auto ints = Read<int32_t>(file, r * kSampleInts);
    const auto lists = Read<int32_t>(file, l);
    const auto ids = Read<int32_t>(file, r);
    const auto logprobs = Read<float>(file, r);
    const auto top_ids = Read<int32_t>(file, r * k);
    const auto top_logprobs = Read<float>(file, r * k);
    std::vector<int32_t> got_ids(ids.size()), got_top(top_ids.size());
    std::vector<float> got_logprobs(ids.size()), got_scores(top_ids.size());
    const SampleArgs args{logits.data(),
                          floats.data(),
                          ints.data(),
                          lists.data(),
                          got_ids.data(),
                          got_logprobs.data(),
                          got_top.data(),
                          got_scores.data(),
                          r,
                          v,
                          k,
                          l,
                          v};
    if (const char* wrong = CheckSampleArgs(args)) {
      std::printf("case %d: %s\n", c, wrong);
      ++failures;
      continue;
    }
    Memory memory(v);
    SampleScratch scratch(memory.bytes.data(), v);
    for (int64_t i = 0; i < r; ++i) {
      SampleRow(args, i, kernels, scratch);
      const size_t at = static_cast<size_t>(i);
      bool same = got_ids[at] == ids[at] && Close(got_logprobs[at], logprobs[at]);
      for (size_t j = at * k; j < (at + 1) * k; ++j) {
        same = same && got_top[j] == top_ids[j] && Close(got_scores[j], top_logprobs[j]);
      }
      if (same) continue;
      ++failures;
      std::printf("case %d row %d: expected id %d (%g), got %d (%g)\n", c, static_cast<int>(i),
                  ids[at], logprobs[at], got_ids[at], got_logprobs[at]);
      for (size_t j = at * k; j < (at + 1) * k; ++j) {
        std::printf("  top: expected %d (%g), got %d (%g)\n", top_ids[j], top_logprobs[j],
                    got_top[j], got_scores[j]);
      }
    }
  }
  std::fclose(file);
  std::printf("%d cases, %d failures\n", cases, failures);
  return failures == 0 ? 0 : 1;
}

// What CheckSampleArgs must refuse: one number of a good row changed at a time.
int Refusals() {
  const float logits[4] = {};
  int failures = 0;
  const auto check = [&](bool good, const char* what, auto change) {
    float floats[kSampleFloats] = {1, 1, 0, 1, 1, 0, 0, 0};
    int32_t ints[kSampleInts] = {};
    int32_t lists[6] = {2, 1, 3, 1, 2, 0};
    ints[kAllowedBegin] = -1;
    change(floats, ints, lists);
    const SampleArgs args{logits,  floats, ints, lists, nullptr, nullptr, nullptr,
                          nullptr, 1,      4,    0,     6,       4};
    if ((CheckSampleArgs(args) == nullptr) == good) return;
    std::printf("%s: expected to be %s\n", what, good ? "accepted" : "refused");
    ++failures;
  };
  check(true, "a greedy row", [](float*, int32_t*, int32_t*) {});
  check(true, "bad words", [](float*, int32_t* n, int32_t*) { n[kBadWordsEnd] = 5; });
  check(false, "a word cut short", [](float*, int32_t* n, int32_t*) { n[kBadWordsEnd] = 4; });
  check(false, "an empty word",
        [](float*, int32_t* n, int32_t* l) { n[kBadWordsEnd] = 1, l[0] = 0; });
  check(false, "a negative word",
        [](float*, int32_t* n, int32_t* l) { n[kBadWordsEnd] = 5, l[0] = -2; });
  check(false, "a huge word",
        [](float*, int32_t* n, int32_t* l) { n[kBadWordsEnd] = 5, l[0] = INT32_MAX; });
  check(false, "mode", [](float*, int32_t* n, int32_t*) { n[kMode] = 3; });
  check(false, "top k", [](float*, int32_t* n, int32_t*) { n[kTopK] = -1; });
  check(false, "prompt", [](float*, int32_t* n, int32_t*) { n[kPromptLength] = 1; });
  check(false, "mask", [](float*, int32_t* n, int32_t*) { n[kAllowedBegin] = 6; });
  check(true, "mask at the end", [](float*, int32_t* n, int32_t*) { n[kAllowedBegin] = 5; });
  check(false, "mask below", [](float*, int32_t* n, int32_t*) { n[kAllowedBegin] = -2; });
  for (int begin : {kHistoryBegin, kEncoderBegin, kBadWordsBegin, kSuppressedBegin, kForcedBegin}) {
    check(false, "range too long", [=](float*, int32_t* n, int32_t*) { n[begin + 1] = 7; });
    check(false, "range turned", [=](float*, int32_t* n, int32_t*) { n[begin] = 1; });
    check(false, "range below", [=](float*, int32_t* n, int32_t*) { n[begin] = -1; });
  }
  check(false, "temperature",
        [](float* f, int32_t* n, int32_t*) { f[kTemperature] = 0, n[kMode] = 1; });
  check(false, "NaN", [](float* f, int32_t*, int32_t*) { f[kTopP] = NAN; });
  check(false, "penalty", [](float* f, int32_t*, int32_t*) { f[kRepetitionPenalty] = 0; });
  return failures;
}

template <class Change>
void Time(const char* name, const CpuKernels& kernels, int64_t top, Change change) {
  const int64_t v = 152064;
  std::mt19937 random(1);
  std::normal_distribution<float> bell(0, 2.5);
  std::vector<float> logits(static_cast<size_t>(v));
  for (float& x : logits) x = bell(random);
  float floats[kSampleFloats] = {1, 1, 0, 1, 1, 0, 0, 0};
  int32_t ints[kSampleInts] = {};
  ints[kAllowedBegin] = -1;
  std::vector<int32_t> lists(4096);
  for (int32_t& id : lists) id = static_cast<int32_t>(random() % 152064);
  change(floats, ints);
  int32_t id;
  float logprob;
  std::vector<int32_t> top_ids(static_cast<size_t>(top));
  std::vector<float> top_logprobs(static_cast<size_t>(top));
  const SampleArgs args{
      logits.data(),       floats, ints, lists.data(), &id,  &logprob, top_ids.data(),
      top_logprobs.data(), 1,      v,    top,          4096, v};
  Memory memory(v);
  SampleScratch scratch(memory.bytes.data(), v);
  double best = 1e9;
  for (int n = 0; n < 20; ++n) {
    const auto start = std::chrono::steady_clock::now();
    SampleRow(args, 0, kernels, scratch);
    const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - start;
    best = std::min(best, time.count());
  }
  std::printf("%-28s %7.3f ms\n", name, best);
}

void Bench(CpuKernels kernels) {
  // The instruction sets' own is faster than the plain one here by far: leave it out.
  kernels.row_stats = [](const float* x, int64_t) { return RowStats{0, x[0] + 20, 1.0f}; };
  using F = float*;
  using I = int32_t*;
  Time("greedy", kernels, 0, [](F, I) {});
  Time("greedy, 5 best", kernels, 5, [](F, I) {});
  Time("greedy, repetition of 4096", kernels, 0,
       [](F f, I n) { f[kRepetitionPenalty] = 1.1f, n[kHistoryEnd] = 4096; });
  Time("draw", kernels, 0, [](F, I n) { n[kMode] = 1; });
  Time("draw, top k 50", kernels, 0, [](F, I n) { n[kMode] = 1, n[kTopK] = 50; });
  Time("draw, top k 50, top p 0.9", kernels, 0,
       [](F f, I n) { n[kMode] = 1, n[kTopK] = 50, f[kTopP] = 0.9f; });
  Time("draw, top p 0.5", kernels, 0, [](F f, I n) { n[kMode] = 1, f[kTopP] = 0.5f; });
  Time("draw, top p 0.95", kernels, 0, [](F f, I n) { n[kMode] = 1, f[kTopP] = 0.95f; });
  Time("draw, top p 0.95, T 0.3", kernels, 0,
       [](F f, I n) { n[kMode] = 1, f[kTopP] = 0.95f, f[kTemperature] = 0.3f; });
  Time("draw, typical 0.9", kernels, 0, [](F f, I n) { n[kMode] = 1, f[kTypicalP] = 0.9f; });
  Time("beam, 8 best", kernels, 8, [](F, I n) { n[kMode] = 2; });
}

}  // namespace
}  // namespace triga

int main(int argc, char** argv) {
  triga::CpuKernels kernels{};
  kernels.row_stats = triga::PlainRowStats;
  if (argc < 2) return 2;
  if (std::string(argv[1]) == "bench") {
    triga::Bench(kernels);
    return 0;
  }
  const int failures = triga::Refusals();
  return triga::Replay(argv[1], kernels) != 0 || failures != 0;
}
