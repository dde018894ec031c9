// Sessions on several threads at once, as worker threads of node have them: loads, runs, cancelling, disposal. Results keep their
// bits whatever runs beside them.
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <fstream>
#include <thread>

#include "native/error.h"
#include "test/native/session_harness.h"

namespace triga::test {

std::vector<float> RandomFloats(size_t count, uint64_t seed) {
  Random random(seed);
  std::vector<float> values(count);
  for (float& v : values) v = random.Uniform();
  return values;
}

ParamPart PartOf(const std::vector<float>& data, int64_t n, int64_t k) {
  ParamPart part;
  const uint8_t* bytes = reinterpret_cast<const uint8_t*>(data.data());
  part.data.assign(bytes, bytes + data.size() * sizeof(float));
  part.n = n;
  part.k = k;
  return part;
}

ParamSpec PanelsOf(std::vector<ParamPart> parts) {
  ParamSpec spec;
  spec.layout = ParamLayout::kPanels;
  spec.parts = std::move(parts);
  return spec;
}

ParamSpec VectorOf(const std::vector<float>& data) {
  ParamSpec spec;
  spec.parts = {PartOf(data, static_cast<int64_t>(data.size()), 1)};
  return spec;
}

std::string LoadAll(const std::shared_ptr<Session>& session, std::vector<ParamSpec> specs) {
  Outcome outcome;
  Session::Load(session, std::make_unique<ParamBatch>(std::move(specs)), outcome.MakeCompletion());
  return outcome.Code();
}

void DisposeOf(const std::shared_ptr<Session>& session) {
  Outcome outcome;
  Session::Dispose(session, outcome.MakeCompletion());
  Check(outcome.Code().empty(), "disposal ends well");
  Check(!session->busy() && session->bytes() == 0, "disposal gives everything back");
}

namespace {

constexpr int64_t kIn = 24, kOut = 40, kMostRows = 64;

std::shared_ptr<Session> NewSession(int threads) {
  return std::make_shared<Session>(kernels_scalar, threads);
}

// A linear of two weights side by side, with bias and activation; a norm of it; their sum.
std::vector<ParamSpec> LayerParams() {
  std::vector<ParamSpec> specs;
  specs.push_back(PanelsOf(
      {PartOf(RandomFloats(17 * kIn, 1), 17, kIn), PartOf(RandomFloats(23 * kIn, 2), 23, kIn)}));
  specs.push_back(VectorOf(RandomFloats(kOut, 3)));
  specs.push_back(VectorOf(RandomFloats(kOut, 4)));
  return specs;
}

PlanSpec LayerPlan() {
  const Dim rows{0, 0}, in{kIn, -1}, out{kOut, -1};
  const int64_t room = kMostRows * kOut * 4;
  PlanSpec spec;
  spec.arena_bytes = 2 * room;
  spec.capacities = {kMostRows};
  spec.inputs = spec.outputs = 1;
  spec.values = {{Source::kInput, 0, DType::kF32, {rows, in}},
                 {Source::kParam, 0, DType::kF32, {out, in}},
                 {Source::kParam, 1, DType::kF32, {out}},
                 {Source::kParam, 2, DType::kF32, {out}},
                 {Source::kArena, 0, DType::kF32, {rows, out}},
                 {Source::kArena, room, DType::kF32, {rows, out}},
                 {Source::kOutput, 0, DType::kF32, {rows, out}}};
  spec.steps = {
      {"linear", {0, 1, 2, -1}, {4}, {static_cast<double>(Activation::kSilu)}},
      {"rms_norm", {4, 3}, {5}, {1e-5}},
      {"binary", {4, 5}, {6}, {static_cast<double>(BinaryOp::kAdd)}},
  };
  return spec;
}

RunRequest LayerRun(const Session& session, size_t plan, const std::vector<float>& x,
                    std::vector<float>& y) {
  RunRequest request{};
  request.plan = &session.plan(plan);
  request.slots = {static_cast<int64_t>(x.size()) / kIn};
  request.inputs.push_back(BytesIn(x));
  request.outputs.push_back(RoomIn(y));
  return request;
}

std::string RunLayer(const std::shared_ptr<Session>& session, size_t plan,
                     const std::vector<float>& x, std::vector<float>& y) {
  Outcome outcome;
  Session::Run(session, LayerRun(*session, plan, x, y), outcome.MakeCompletion());
  return outcome.Code();
}

std::vector<float> InputOf(int rows) {
  return RandomFloats(static_cast<size_t>(rows * kIn), 1000 + static_cast<uint64_t>(rows));
}

// What one thread alone computes for each number of rows.
std::vector<std::vector<float>> Expected() {
  const auto session = NewSession(1);
  Check(LoadAll(session, LayerParams()).empty(), "parameters load");
  const size_t plan = session->AddPlan(LayerPlan(), {0, 1, 2}, {});
  std::vector<std::vector<float>> expected;
  for (int rows = 0; rows <= kMostRows; ++rows) {
    std::vector<float> y(static_cast<size_t>(rows * kOut));
    Check(RunLayer(session, plan, InputOf(rows), y).empty(), "a run ends well");
    expected.push_back(y);
  }
  return expected;
}

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return BytesIn(a) == BytesIn(b);
}

// A life of a session while others have theirs: some runs are cancelled by another thread, at any moment.
void Live(uint64_t seed, const std::vector<std::vector<float>>& expected) {
  Random random(seed);
  const auto session = NewSession(1 + random.Below(4));
  const std::string loaded = LoadAll(session, LayerParams());
  Check(loaded.empty(), "parameters load beside others: " + loaded);
  const size_t plan = session->AddPlan(LayerPlan(), {0, 1, 2}, {});
  std::atomic<bool> over{false};
  std::thread canceller([&, seed] {
    Random own(seed + 1);
    while (!over) {
      Pause(own, 400);
      session->Cancel();
    }
  });
  const auto run = [&](bool may_abort) {
    const int rows = random.Below(kMostRows + 1);
    std::vector<float> y(static_cast<size_t>(rows * kOut));
    const std::string code = RunLayer(session, plan, InputOf(rows), y);
    if (may_abort && code == "ABORTED") return;
    Check(code.empty(), "a run ends well, not " + code);
    Check(SameBits(y, expected[static_cast<size_t>(rows)]), "the bits of a run alone");
    if (random.Below(8) == 0) Pause(random, 2000);
  };
  for (int i = 0; i < 40; ++i) run(true);
  over = true;
  canceller.join();
  // A cancel that came too late for its job spares the next.
  for (int i = 0; i < 20; ++i) run(false);
  Check(!session->busy(), "a session is idle after its last job");
  DisposeOf(session);
}

void TestBesideOthers() {
  const auto expected = Expected();
  std::vector<std::thread> lives;
  for (uint64_t i = 0; i < 3; ++i) lives.emplace_back(Live, 50 + 10 * i, std::cref(expected));
  for (auto& life : lives) life.join();
}

// A session may be let go of by its owner while a job is under way: the job keeps it.
void TestLettingGo() {
  for (int i = 0; i < 30; ++i) {
    Outcome outcome;
    std::vector<float> y(kMostRows * kOut);
    {
      const auto session = NewSession(3);
      LoadAll(session, LayerParams());
      const size_t plan = session->AddPlan(LayerPlan(), {0, 1, 2}, {});
      Session::Run(session, LayerRun(*session, plan, InputOf(kMostRows), y),
                   outcome.MakeCompletion());
      bool refused = false;
      try {
        std::vector<float> other(kOut);
        Outcome none;
        Session::Run(session, LayerRun(*session, plan, InputOf(1), other), none.MakeCompletion());
        refused = none.Code().empty();  // the first had ended already
      } catch (const EngineError& e) {
        refused = e.code() == ErrorCode::kInternal;
      }
      Check(refused, "one job at a time");
    }
    Check(outcome.Code().empty(), "a run ends well without its owner");
  }
}

ParamSpec FromFile(const std::string& file, int64_t n, int64_t k) {
  ParamPart part;
  part.place.file = file;
  part.n = n;
  part.k = k;
  return PanelsOf({part});
}

// Weights from files: whole, cut short, missing; loads that are cancelled.
void TestLoading() {
  const int64_t n = 3000, k = 512;  // more than one item
  char path[] = "/tmp/triga-engine-test-XXXXXX";
  const int fd = mkstemp(path);
  Check(fd >= 0, "a temporary file");
  close(fd);
  const std::vector<float> weights = RandomFloats(static_cast<size_t>(n * k), 5);
  std::ofstream(path, std::ios::binary).write(BytesIn(weights).data(), n * k * 4);
  Check(LoadAll(NewSession(4), {FromFile(path, n, k)}).empty(), "a whole file loads");
  Check(LoadAll(NewSession(4), {FromFile(path, n + 1, k)}) == "MODEL_FORMAT", "a file cut short");
  Check(LoadAll(NewSession(4), {FromFile("/nothing/there", n, k)}) == "MODEL_FORMAT",
        "a file that is not there");
  std::vector<std::thread> loaders;
  for (uint64_t seed = 0; seed < 2; ++seed) {
    loaders.emplace_back([&, seed] {
      Random random(seed + 9);
      for (int i = 0; i < 12; ++i) {
        const auto session = NewSession(1 + random.Below(4));
        Outcome outcome;
        Session::Load(session,
                      std::make_unique<ParamBatch>(std::vector<ParamSpec>{FromFile(path, n, k)}),
                      outcome.MakeCompletion());
        Pause(random, 3000);
        session->Cancel();
        const std::string code = outcome.Code();
        Check(code.empty() || code == "ABORTED", "a load ends well or is aborted, not " + code);
        if (random.Below(2) == 0)
          DisposeOf(session);
        else
          Session::Dispose(session, nullptr);  // as when the owner is collected
      }
    });
  }
  for (auto& t : loaders) t.join();
  std::remove(path);
}

}  // namespace

void TestSession() {
  TestBesideOthers();
  TestLettingGo();
  TestLoading();
}

}  // namespace triga::test
