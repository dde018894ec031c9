// The one thread pool of the process. Its first thread, the leader, takes jobs in turn and runs one step of each; a step hands
// its tiles to all threads. The pool is never destroyed: its threads sleep while there is nothing to do.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>

namespace triga {

// Something to do in steps, on the leader thread. Jobs of different models take turns step by step.
class Job {
 public:
  virtual ~Job() = default;
  // Runs one step; true when there are no more. Must not throw.
  virtual bool Step() = 0;
  // Called once, after the last step, on the leader thread.
  virtual void Finish() = 0;
};

// Processors that this process may use: the physical cores within its affinity and its container's quota.
int DefaultThreads();

class Pool {
 public:
  static Pool& Get();

  // Queues a job. Starts threads up to `threads` if there are fewer.
  void Submit(std::shared_ptr<Job> job, int threads);

  // Runs fn(context, begin, end, thread) for tiles 0 … tiles − 1, on at most `threads` threads, and returns when all are done.
  // Called by the leader from within a step.
  using TileFn = void (*)(void* context, int64_t begin, int64_t end, int thread);
  void ParallelFor(int64_t tiles, int threads, TileFn fn, void* context);

  // Threads that run (the leader included).
  int threads() const { return started_.load(std::memory_order_relaxed); }

 private:
  void StartThreads(int count);
  void Lead();
  void Work(int thread);
  bool RunTiles(int thread);
  void Wake();

  // The jobs.
  std::mutex jobs_mutex_;
  std::condition_variable jobs_ready_;
  std::deque<std::shared_ptr<Job>> jobs_;
  std::atomic<int> waiting_{0};  // jobs in the queue
  std::atomic<int> started_{0};

  // The step under way. `claim_` is its number (high half) and the next tile (low half). While the fields change, the number is
  // odd and the tile out of range, so that a claim that was begun under the old step fails.
  std::atomic<uint64_t> claim_{0xffffffffu};
  std::atomic<uint32_t> tiles_{0};
  std::atomic<int> step_threads_{0};
  std::atomic<TileFn> fn_{nullptr};
  std::atomic<void*> context_{nullptr};
  std::atomic<uint32_t> finished_{0};

  // Workers that found nothing for long.
  std::mutex sleep_mutex_;
  std::condition_variable sleep_ready_;
  std::atomic<int> sleepers_{0};
};

}  // namespace triga
