#include "native/pool.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <set>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "native/error.h"
#ifdef __linux__
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace triga {
namespace {

constexpr uint32_t kClosed = 0xffffffffu;
constexpr int kSpins = 4000;  // about 50 µs of pauses
constexpr int kYields = 200;  // then the core goes to whoever wants it

void Pause() {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Every pool thread computes in the same mode: nearest even, no trap, denormals kept.
void SetFloatingPointMode() {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_setcsr(0x1f80);
#elif defined(__aarch64__)
  asm volatile("msr fpcr, %0" : : "r"(uint64_t{0}));
#endif
}

#ifdef __linux__
// Asks the kernel for long slices of time. The share of the processor stays the same; but who wakes up wanting a short slice, as
// the JavaScript thread does, gets the core at once, where it would else wait for the next tick or two (Linux 6.12 and later;
// before, the kernel ignores it).
void AskForLongSlices() {
  struct {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
  } attr{};
  constexpr uint64_t kSlice = 8'000'000;  // ns
  if (syscall(SYS_sched_getattr, 0, &attr, sizeof attr, 0) != 0) return;
  if (attr.policy != SCHED_OTHER && attr.policy != SCHED_BATCH) return;
  attr.runtime = kSlice;
  syscall(SYS_sched_setattr, 0, &attr, 0);
}

// First number of a one-line file; a negative number if there is none.
double ReadNumber(const std::string& path, double* second = nullptr) {
  std::ifstream in(path);
  std::string first;
  if (!(in >> first)) return -1;
  if (second && !(in >> *second)) return -1;
  try {
    return std::stod(first);
  } catch (...) {
    return -1;  // "max"
  }
}

// Processors that the container's quota pays for: the least of this process's control group and its ancestors.
double QuotaProcessors() {
  double least = 1e9;
  std::ifstream in("/proc/self/cgroup");
  std::string line;
  while (std::getline(in, line)) {
    const size_t colon = line.rfind(':');
    if (colon == std::string::npos) continue;
    const bool v2 = line.compare(0, 3, "0::") == 0;
    if (!v2 && line.find("cpu") == std::string::npos) continue;
    std::string group = line.substr(colon + 1);
    while (true) {
      double period = 0;
      double quota;
      if (v2) {
        quota = ReadNumber("/sys/fs/cgroup" + group + "/cpu.max", &period);
      } else {
        quota = ReadNumber("/sys/fs/cgroup/cpu" + group + "/cpu.cfs_quota_us");
        period = ReadNumber("/sys/fs/cgroup/cpu" + group + "/cpu.cfs_period_us");
      }
      if (quota > 0 && period > 0) least = std::min(least, quota / period);
      const size_t slash = group.rfind('/');
      if (group.empty() || group == "/" || slash == std::string::npos) break;
      group.resize(slash);
    }
  }
  return least;
}

// Physical cores among the processors that the affinity mask allows.
int AllowedCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 0;
  std::set<std::pair<int, int>> cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &set)) continue;
    const std::string base = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
    const int package = static_cast<int>(ReadNumber(base + "physical_package_id"));
    const int core = static_cast<int>(ReadNumber(base + "core_id"));
    cores.insert(core < 0 ? std::make_pair(-1, cpu) : std::make_pair(package, core));
  }
  return static_cast<int>(cores.size());
}
#endif

void PrepareThread() {
  SetFloatingPointMode();
#ifdef __linux__
  AskForLongSlices();
#endif
}

}  // namespace

int DefaultThreads() {
  int cores = static_cast<int>(std::thread::hardware_concurrency());
#ifdef __linux__
  const int allowed = AllowedCores();
  if (allowed > 0) cores = allowed;
  cores = std::min(cores, static_cast<int>(std::ceil(std::min(QuotaProcessors(), 4096.0))));
#endif
  return std::clamp(cores, 1, 256);
}

Pool& Pool::Get() {
  static Pool* pool = new Pool;  // never destroyed: threads may outlive main()
  return *pool;
}

void Pool::Submit(std::shared_ptr<Job> job, int threads) {
  {
    std::lock_guard<std::mutex> lock(jobs_mutex_);
    StartThreads(threads);
    jobs_.push_back(std::move(job));
    waiting_.fetch_add(1, std::memory_order_release);
  }
  jobs_ready_.notify_one();
}

void Pool::StartThreads(int count) {
  for (int i = started_.load(); i < count; ++i) {
    try {
      (i == 0 ? std::thread([this] { Lead(); }) : std::thread([this, i] { Work(i); })).detach();
    } catch (const std::system_error& e) {
      if (i > 0) return;  // fewer do as well
      throw EngineError(ErrorCode::kOutOfMemory, std::string("cannot start a thread: ") + e.what());
    }
    started_.store(i + 1);
  }
}

void Pool::Lead() {
  PrepareThread();
  while (true) {
    std::shared_ptr<Job> job;
    // The next token's job comes within microseconds: sleeping at once would cost more than the wait.
    for (int spins = 0; spins < kSpins && waiting_.load(std::memory_order_acquire) == 0; ++spins)
      Pause();
    {
      std::unique_lock<std::mutex> lock(jobs_mutex_);
      jobs_ready_.wait(lock, [this] { return !jobs_.empty(); });
      job = std::move(jobs_.front());
      jobs_.pop_front();
      waiting_.fetch_sub(1, std::memory_order_relaxed);
    }
    while (!job->Step()) {
      std::lock_guard<std::mutex> lock(jobs_mutex_);
      if (jobs_.empty()) continue;
      jobs_.push_back(std::move(job));
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    job->Finish();
  }
}

void Pool::ParallelFor(int64_t tiles, int threads, TileFn fn, void* context) {
  threads = std::min(threads, this->threads());
  if (tiles <= 0) return;
  if (tiles == 1 || threads <= 1) {
    fn(context, 0, tiles, 0);
    return;
  }
  const uint32_t count = static_cast<uint32_t>(std::min<int64_t>(tiles, kClosed - 1));
  const uint64_t number = (claim_.load(std::memory_order_relaxed) >> 32) + 1;
  claim_.store(number << 32 | kClosed, std::memory_order_seq_cst);
  fn_.store(fn, std::memory_order_release);
  context_.store(context, std::memory_order_release);
  tiles_.store(count, std::memory_order_release);
  step_threads_.store(threads, std::memory_order_release);
  finished_.store(0, std::memory_order_release);
  claim_.store((number + 1) << 32, std::memory_order_seq_cst);
  if (sleepers_.load(std::memory_order_seq_cst) > 0) Wake();
  RunTiles(0);
  // Only tiles in progress hold this up: a thread that has not come yet finds nothing left.
  for (int spins = 0; finished_.load(std::memory_order_acquire) != count; ++spins) {
    if (spins < kSpins)
      Pause();
    else
      std::this_thread::yield();
  }
}

// Runs tiles of the step under way while there are any; whether there were some.
bool Pool::RunTiles(int thread) {
  bool any = false;
  uint64_t claim = claim_.load(std::memory_order_acquire);
  while (true) {
    const uint32_t tile = static_cast<uint32_t>(claim);
    if (tile >= tiles_.load(std::memory_order_acquire)) return any;
    if (thread >= step_threads_.load(std::memory_order_acquire)) return any;
    const TileFn fn = fn_.load(std::memory_order_acquire);
    void* const context = context_.load(std::memory_order_acquire);
    if (!claim_.compare_exchange_weak(claim, claim + 1, std::memory_order_acq_rel,
                                      std::memory_order_acquire))
      continue;
    any = true;
    fn(context, tile, int64_t{tile} + 1, thread);
    finished_.fetch_add(1, std::memory_order_release);
    claim = claim_.load(std::memory_order_acquire);
  }
}

void Pool::Work(int thread) {
  PrepareThread();
  int idle = 0;
  while (true) {
    // Read before the look for tiles: a step that begins after the look, and before the sleep, has another number.
    const uint64_t seen = claim_.load(std::memory_order_seq_cst);
    if (RunTiles(thread)) {
      idle = 0;
    } else if (++idle < kSpins) {
      Pause();
    } else if (idle < kSpins + kYields) {
      std::this_thread::yield();
    } else {
      std::unique_lock<std::mutex> lock(sleep_mutex_);
      sleepers_.fetch_add(1, std::memory_order_seq_cst);
      sleep_ready_.wait(lock, [this, seen] {
        return claim_.load(std::memory_order_seq_cst) >> 32 != seen >> 32;
      });
      sleepers_.fetch_sub(1, std::memory_order_seq_cst);
      idle = 0;
    }
  }
}

void Pool::Wake() {
  {
    std::lock_guard<std::mutex> lock(sleep_mutex_);
  }
  sleep_ready_.notify_all();
}

}  // namespace triga
