// Bursts: the engine goes on by itself while another thread reads what has ended, and ends when it is told to.
#include <algorithm>
#include <thread>

#include "native/sampler.h"
#include "test/native/session_harness.h"

namespace triga::test {
namespace {

constexpr int64_t kVocab = 50, kWidth = 16, kMostRows = 4, kTableWidth = 8;
// The plan's inputs, in order.
enum Input { kTokens, kPositions, kSlots, kTables, kFloats, kInts, kLists, kInputs };

// embedding(tokens), logits by the same table, and the greedy choice: a chain of tokens that depends on the first alone.
PlanSpec ChainPlan() {
  const Dim rows{0, 0}, width{kWidth, -1}, vocab{kVocab, -1}, one{1, -1}, none{0, -1};
  const int64_t room = kMostRows * kVocab * 4 / 64 * 64 + 64;
  PlanSpec spec;
  spec.arena_bytes = 2 * room;
  spec.capacities = {kMostRows};
  spec.inputs = kInputs;
  spec.outputs = 4;
  spec.values = {{Source::kParam, 0, DType::kF32, {vocab, width}},
                 {Source::kInput, kTokens, DType::kI32, {rows}},
                 {Source::kArena, 0, DType::kF32, {rows, width}},
                 {Source::kArena, room, DType::kF32, {rows, vocab}},
                 {Source::kInput, kFloats, DType::kF32, {rows, {kSampleFloats, -1}}},
                 {Source::kInput, kInts, DType::kI32, {rows, {kSampleInts, -1}}},
                 {Source::kInput, kLists, DType::kI32, {none}},
                 {Source::kOutput, 0, DType::kI32, {rows}},
                 {Source::kOutput, 1, DType::kF32, {rows}},
                 {Source::kOutput, 2, DType::kI32, {rows, one}},
                 {Source::kOutput, 3, DType::kF32, {rows, one}}};
  spec.steps = {{"embedding", {0, 1}, {2}, {}},
                {"linear", {2, 0, -1, -1}, {3}, {0}},
                {"sample", {3, 4, 5, 6}, {7, 8, 9, 10}, {}}};
  return spec;
}

struct Chain {
  std::vector<int32_t> ids;
  std::vector<float> logprobs;
  std::vector<int32_t> top_ids;
  std::vector<float> top_logprobs;
};

// A run, or a burst of runs, from these tokens; `chain` has room for all.
RunRequest ChainRun(const Session& session, const std::vector<int32_t>& tokens, int64_t steps,
                    Chain& chain) {
  const size_t rows = tokens.size(), all = rows * static_cast<size_t>(steps);
  chain = {std::vector<int32_t>(all), std::vector<float>(all), std::vector<int32_t>(all),
           std::vector<float>(all)};
  std::vector<float> floats(rows * kSampleFloats, 0.0f);
  std::vector<int32_t> ints(rows * kSampleInts, 0), tables;
  for (size_t r = 0; r < rows; ++r) {
    floats[r * kSampleFloats + kTemperature] = floats[r * kSampleFloats + kTopP] = 1;
    floats[r * kSampleFloats + kTypicalP] = floats[r * kSampleFloats + kRepetitionPenalty] = 1;
    ints[r * kSampleInts + kAllowedBegin] = -1;
    for (int32_t b = 0; b < kTableWidth; ++b) tables.push_back(b);
  }
  RunRequest request{};
  request.plan = &session.plan(0);
  request.slots = {static_cast<int64_t>(rows)};
  request.inputs = {BytesIn(tokens),
                    BytesIn(std::vector<int32_t>(rows, 0)),
                    BytesIn(std::vector<int32_t>(rows, 0)),
                    BytesIn(tables),
                    BytesIn(floats),
                    BytesIn(ints),
                    {}};
  request.outputs = {RoomIn(chain.ids), RoomIn(chain.logprobs), RoomIn(chain.top_ids),
                     RoomIn(chain.top_logprobs)};
  Burst& burst = request.burst;
  burst.steps = steps;
  burst.ids = 0;
  burst.tokens = kTokens;
  burst.slots = kSlots;
  burst.positions = kPositions;
  burst.tables = kTables;
  burst.counters = {{kPositions, 0, 1}, {kInts, kPosition, kSampleInts}};
  return request;
}

std::shared_ptr<Session> ChainSession(int threads) {
  const auto session = std::make_shared<Session>(kernels_scalar, threads);
  const auto table = RandomFloats(kVocab * kWidth, 11);
  Check(LoadAll(session, {PanelsOf({PartOf(table, kVocab, kWidth)})}).empty(), "the table loads");
  session->AddPlan(ChainPlan(), {0}, {});
  return session;
}

// The chain by runs of one step, each fed by hand.
std::vector<int32_t> Expected(std::vector<int32_t> tokens, int steps) {
  const auto session = ChainSession(1);
  std::vector<int32_t> ids;
  for (int i = 0; i < steps; ++i) {
    Chain chain;
    Outcome outcome;
    Session::Run(session, ChainRun(*session, tokens, 1, chain), outcome.MakeCompletion());
    Check(outcome.Code().empty(), "a single run ends well");
    tokens = chain.ids;
    ids.insert(ids.end(), tokens.begin(), tokens.end());
  }
  return ids;
}

// Reads each run's ids as soon as it is told of, while the engine writes those that follow. Returns how many runs there were.
int64_t Follow(Outcome& outcome, const Chain& chain, size_t rows,
               const std::vector<int32_t>& expected) {
  int64_t seen = 0;
  for (int64_t done = outcome.NextProgress(); done >= 0; done = outcome.NextProgress()) {
    Check(done == seen + 1, "runs are told of one by one");
    for (size_t i = static_cast<size_t>(seen) * rows; i < static_cast<size_t>(done) * rows; ++i)
      Check(chain.ids[i] == expected[i], "the ids of runs that are fed by hand");
    seen = done;
  }
  return seen;
}

void TestChains(uint64_t seed) {
  Random random(seed);
  constexpr int kSteps = 100;
  std::vector<int32_t> tokens(1 + static_cast<size_t>(random.Below(kMostRows)));
  for (int32_t& t : tokens) t = random.Below(kVocab);
  const auto expected = Expected(tokens, kSteps);
  const auto session = ChainSession(1 + random.Below(4));
  for (int round = 0; round < 25; ++round) {
    const int64_t steps = 2 + random.Below(kSteps - 1);
    const int way = random.Below(4);
    Chain chain;
    RunRequest request = ChainRun(*session, tokens, steps, chain);
    int64_t longest = steps, shortest = steps;
    if (way == 1) {
      request.burst.stops = {expected[static_cast<size_t>(random.Below(kSteps))]};
      const auto stop = std::find(expected.begin(), expected.end(), request.burst.stops[0]);
      longest = shortest = std::min<int64_t>(
          steps, (stop - expected.begin()) / static_cast<int64_t>(tokens.size()) + 1);
    }
    if (way > 1) shortest = 0;
    Outcome outcome;
    Session::Run(session, std::move(request), outcome.MakeCompletion());
    std::thread ender([&, ender_seed = random.Next()] {
      Random own(ender_seed);
      Pause(own, 1500);
      if (way == 2) session->EndBurst();
      if (way == 3) session->Cancel();
    });
    const int64_t runs = Follow(outcome, chain, tokens.size(), expected);
    const std::string code = outcome.Code();
    ender.join();
    Check(runs >= shortest && runs <= longest, "as many runs as were asked for");
    Check(code.empty() || (way == 3 && code == "ABORTED"), "a burst ends well, not " + code);
  }
  DisposeOf(session);
}

// Told between two runs, a burst ends after the one that has just been told of: neither earlier nor later.
void TestEndsAtOnce() {
  constexpr int64_t kSteps = 60, kEnd = 7;
  const auto expected = Expected({5, 9}, kSteps);
  const auto session = ChainSession(3);
  for (const bool cancelled : {false, true}) {
    Chain chain;
    Outcome outcome;
    Session::Run(session, ChainRun(*session, {5, 9}, kSteps, chain),
                 outcome.MakeCompletion([&](int64_t done) {
                   if (done != kEnd) return;
                   if (cancelled)
                     session->Cancel();
                   else
                     session->EndBurst();
                 }));
    Check(Follow(outcome, chain, 2, expected) == kEnd, "a burst ends after the run under way");
    Check(outcome.Code() == (cancelled ? "ABORTED" : ""), "an end is none of an abort's errors");
  }
}

// A burst that would leave the blocks of its table is an error, not a write behind them.
void TestOutgrown() {
  const auto session = ChainSession(2);
  Chain chain;
  Outcome outcome;
  Session::Run(session, ChainRun(*session, {3}, kTableWidth * kBlock + 5, chain),
               outcome.MakeCompletion());
  const auto expected = Expected({3}, kTableWidth * kBlock + 5);
  Check(Follow(outcome, chain, 1, expected) == kTableWidth * kBlock, "all runs that have a block");
  Check(outcome.Code() == "INTERNAL", "the next one is an error");
}

}  // namespace

void TestBurst() {
  std::vector<std::thread> chains;
  for (uint64_t i = 0; i < 3; ++i) chains.emplace_back(TestChains, 70 + i);
  for (auto& t : chains) t.join();
  TestEndsAtOnce();
  TestOutgrown();
}

}  // namespace triga::test
