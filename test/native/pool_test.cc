// The thread pool: every tile once, turns between jobs, sleep and wake, one floating-point mode.
#include "native/pool.h"

#include <atomic>
#include <cfenv>
#include <chrono>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "test/native/engine_harness.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace triga::test {
namespace {

// A job of so many steps, made of functions.
class Steps final : public Job {
 public:
  Steps(int count, std::function<void(int)> step, std::function<void()> finish)
      : count_(count), step_(std::move(step)), finish_(std::move(finish)) {}
  bool Step() override {
    step_(next_);
    return ++next_ == count_;
  }
  void Finish() override { finish_(); }

 private:
  const int count_;
  std::function<void(int)> step_;
  std::function<void()> finish_;
  int next_ = 0;
};

void ParallelFor(int64_t tiles, int threads,
                 std::function<void(int64_t begin, int64_t end, int thread)> body) {
  Pool::Get().ParallelFor(
      tiles, threads,
      [](void* p, int64_t begin, int64_t end, int thread) {
        (*static_cast<decltype(body)*>(p))(begin, end, thread);
      },
      &body);
}

// How a thread computes: what rounding and denormals come to, and the bits that say so.
struct FloatingPoint {
  float denormal, up, down;
  uint64_t control;
};

FloatingPoint Observe() {
  volatile float tiny = 1e-40f, half = 0.5f, one = 1, above = 0x1.8p-24f, below = 0x1p-25f;
  FloatingPoint f{tiny * half, one + above, one + below, 0};
#if defined(__x86_64__)
  f.control = _mm_getcsr() & 0xffc0u;
#elif defined(__aarch64__)
  asm volatile("mrs %0, fpcr" : "=r"(f.control));
#endif
  return f;
}

// Rounds down and flushes denormals, as a thread may that then starts others.
void SpoilFloatingPoint() {
  std::fesetround(FE_DOWNWARD);
#if defined(__x86_64__)
  _mm_setcsr(_mm_getcsr() | 0x8040u);
#elif defined(__aarch64__)
  uint64_t control;
  asm volatile("mrs %0, fpcr" : "=r"(control));
  asm volatile("msr fpcr, %0" ::"r"(control | uint64_t{1} << 24));
#endif
}

// Threads inherit the mode of the thread that starts them, so this has to come first.
void TestFloatingPointMode() {
  constexpr int kThreads = 4;
  std::vector<FloatingPoint> seen(kThreads);
  Counter done;
  std::thread spoiled([&] {
    SpoilFloatingPoint();
    std::atomic<int> inside{0};
    const auto step = [&](int) {
      // No tile ends before all threads have one.
      ParallelFor(kThreads, kThreads, [&](int64_t begin, int64_t, int thread) {
        ++inside;
        while (inside < kThreads) std::this_thread::yield();
        Check(begin < kThreads && thread < kThreads, "a tile or thread out of range");
        seen[static_cast<size_t>(thread)] = Observe();
      });
    };
    Pool::Get().Submit(std::make_shared<Steps>(1, step, [&] { done.Add(); }), kThreads);
    Check(done.Await(1), "the first job has no end");
  });
  spoiled.join();
  Check(Pool::Get().threads() == kThreads, "the pool has as many threads as were asked for");
  for (int i = 0; i < kThreads; ++i) {
    const FloatingPoint& f = seen[static_cast<size_t>(i)];
    const std::string who = "pool thread " + std::to_string(i);
    Check(f.denormal > 0, who + " keeps denormals");
    Check(f.up == 1.00000012f && f.down == 1, who + " rounds to nearest");
    Check(f.control == seen[0].control, who + " has the mode of thread 0");
  }
}

constexpr int kTileCounts[] = {0, 1, 2, 3, 7, 64, 500, 3000};

// Several threads submit jobs of random tile and thread counts. What steps and tiles write is plain memory: were two steps to
// overlap, or a tile to run twice or late, sums would be wrong and a thread sanitizer would say so.
void TestEveryTileOnce() {
  constexpr int kSubmitters = 4, kJobs = 40;
  int64_t steps_run = 0;
  std::atomic<int64_t> steps_asked{0};
  Counter finished;
  const auto submit = [&](uint64_t seed) {
    Random random(seed);
    for (int j = 0; j < kJobs; ++j) {
      const int steps = 1 + random.Below(5), threads = 1 + random.Below(6);
      const uint64_t job_seed = random.Next();
      steps_asked += steps;
      const auto step = [&steps_run, threads, job_seed](int number) {
        Random own(job_seed + static_cast<uint64_t>(number));
        const int tiles = kTileCounts[own.Below(8)];
        std::vector<int64_t> sums(static_cast<size_t>(tiles));
        ParallelFor(tiles, threads, [&](int64_t begin, int64_t end, int thread) {
          Check(thread >= 0 && thread < threads, "a thread beyond those that were asked for");
          for (int64_t i = begin; i < end; ++i) sums[static_cast<size_t>(i)] += i + 1;
        });
        bool once = true;
        for (size_t i = 0; i < sums.size(); ++i)
          once = once && sums[i] == static_cast<int64_t>(i) + 1;
        Check(once, "a tile that ran not at all or twice");
        ++steps_run;
      };
      Pool::Get().Submit(std::make_shared<Steps>(steps, step, [&finished] { finished.Add(); }),
                         threads);
      if (random.Below(3) == 0) Pause(random, 3000);
    }
  };
  std::vector<std::thread> submitters;
  for (int i = 0; i < kSubmitters; ++i) submitters.emplace_back(submit, 100 + i);
  for (auto& t : submitters) t.join();
  Check(finished.Await(kSubmitters * kJobs), "a job without end");
  Check(steps_run == steps_asked, "steps that were lost or ran twice");
}

// Jobs that wait together run one step each in turn; the end of one comes once, after its last step.
void TestTurns() {
  constexpr int kJobs = 3, kSteps = 20;
  std::vector<int> order;
  std::vector<int> ends(kJobs);
  Counter submitted, finished;
  std::vector<std::weak_ptr<Job>> jobs;
  for (int id = 0; id < kJobs; ++id) {
    const auto step = [&, id](int number) {
      if (id == 0 && number == 0) Check(submitted.Await(1), "the other jobs never came");
      order.push_back(id);
    };
    const auto finish = [&, id] {
      ++ends[static_cast<size_t>(id)];
      finished.Add();
    };
    auto job = std::make_shared<Steps>(kSteps, step, finish);
    jobs.push_back(job);
    Pool::Get().Submit(std::move(job), 2);
  }
  submitted.Add();
  Check(finished.Await(kJobs), "a job without end");
  Check(order.size() == kJobs * kSteps, "as many steps as there are");
  for (size_t i = 0; i < order.size(); ++i)
    Check(order[i] == static_cast<int>(i) % kJobs, "jobs in turn, at step " + std::to_string(i));
  for (const int count : ends) Check(count == 1, "one end for each job");
  // The leader lets go of the last job just after its end.
  for (int i = 0; i < 1000 && !jobs.back().expired(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  for (const auto& job : jobs) Check(job.expired(), "a job that is kept after its end");
}

// Waits until `count` threads are in here together; clears `met`, which ends all such waits, if they do not come.
void Meet(std::atomic<int>& inside, int count, std::atomic<bool>& met) {
  ++inside;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (inside < count && met) {
    if (std::chrono::steady_clock::now() > deadline) met = false;
    std::this_thread::yield();
  }
}

// One submission after another, each after a pause that the workers may or may not have fallen asleep in. The leader alone could
// run all tiles, so none ends before every worker has one.
void TestSleepAndWake() {
  constexpr int kRounds = 150, kThreads = 4;
  Random random(7);
  for (int round = 0; round < kRounds; ++round) {
    Counter finished;
    std::atomic<bool> met{true};
    const auto step = [&](int) {
      std::atomic<int> inside{0};
      ParallelFor(kThreads, kThreads, [&](int64_t, int64_t, int) { Meet(inside, kThreads, met); });
    };
    Pool::Get().Submit(std::make_shared<Steps>(2, step, [&] { finished.Add(); }), kThreads);
    Check(finished.Await(1), "a job that nobody woke up for");
    Check(met, "all workers wake up for a step");
    if (!met) return;
    // Once in a while long enough that they surely sleep.
    if (round % 10 == 0)
      std::this_thread::sleep_for(std::chrono::milliseconds(30));
    else
      Pause(random, 2000);
  }
}

}  // namespace

void TestPool() {
  TestFloatingPointMode();
  TestEveryTileOnce();
  TestTurns();
  TestSleepAndWake();
}

}  // namespace triga::test
