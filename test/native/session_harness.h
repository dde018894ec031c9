// Small plans for the tests of sessions and bursts, built as lib/plan would, and a completion to wait for.
#pragma once
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "native/session.h"
#include "test/native/engine_harness.h"

namespace triga {
extern const CpuKernels kernels_scalar;
}  // namespace triga

namespace triga::test {

// How a job went, told to another thread.
class Outcome {
 public:
  // Handed to the engine; must be made once. `on_progress` is called on the engine's thread, between two runs.
  std::unique_ptr<Completion> MakeCompletion(std::function<void(int64_t)> on_progress = nullptr) {
    return std::make_unique<Teller>(this, std::move(on_progress));
  }

  // The next number of ended runs that was told; −1: the job has ended.
  int64_t NextProgress() {
    std::unique_lock<std::mutex> lock(mutex_);
    Await(lock, [this] { return done_ || !progress_.empty(); });
    if (progress_.empty()) return -1;
    const int64_t done = progress_.front();
    progress_.pop_front();
    return done;
  }
  // The code of the job's end; empty after success.
  std::string Code() {
    std::unique_lock<std::mutex> lock(mutex_);
    Await(lock, [this] { return done_; });
    return code_;
  }

 private:
  class Teller final : public Completion {
   public:
    Teller(Outcome* outcome, std::function<void(int64_t)> on_progress)
        : outcome_(outcome), on_progress_(std::move(on_progress)) {}
    void Progress(int64_t done) override {
      if (on_progress_) on_progress_(done);
      std::lock_guard<std::mutex> lock(outcome_->mutex_);
      outcome_->progress_.push_back(done);
      outcome_->changed_.notify_all();
    }
    void Done(const char* code, const std::string&) override {
      std::lock_guard<std::mutex> lock(outcome_->mutex_);
      Check(!outcome_->done_, "one end for each job");
      outcome_->done_ = true;
      outcome_->code_ = code ? code : "";
      outcome_->changed_.notify_all();
    }

   private:
    Outcome* outcome_;
    std::function<void(int64_t)> on_progress_;
  };

  template <class Condition>
  void Await(std::unique_lock<std::mutex>& lock, Condition condition) {
    if (!changed_.wait_for(lock, std::chrono::seconds(60), condition)) {
      Check(false, "a job without end");
      done_ = true;
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<int64_t> progress_;
  bool done_ = false;
  std::string code_;
};

std::vector<float> RandomFloats(size_t count, uint64_t seed);

ParamPart PartOf(const std::vector<float>& data, int64_t n, int64_t k);
ParamSpec PanelsOf(std::vector<ParamPart> parts);
ParamSpec VectorOf(const std::vector<float>& data);

// Loads parameters and waits; the code of the end.
std::string LoadAll(const std::shared_ptr<Session>& session, std::vector<ParamSpec> specs);

// Disposes, waits, and checks that everything was given back.
void DisposeOf(const std::shared_ptr<Session>& session);

// A copy of the bytes of a list of numbers, as a run's input.
template <class T>
std::vector<char> BytesIn(const std::vector<T>& values) {
  const char* data = reinterpret_cast<const char*>(values.data());
  return {data, data + values.size() * sizeof(T)};
}

// Memory that a run writes to.
template <class T>
std::pair<char*, size_t> RoomIn(std::vector<T>& values) {
  return {reinterpret_cast<char*>(values.data()), values.size() * sizeof(T)};
}

}  // namespace triga::test
