// Jobs of something that lives on the engine (a model, a tokenizer in training): they never overlap, can be cancelled between
// two steps, and tell JavaScript of their end.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "native/error.h"
#include "native/pool.h"

namespace triga {

// Told of a job's end, on the leader thread. `code` is null after success, else a name of lib/errors.ts.
class Completion {
 public:
  virtual ~Completion() = default;
  // Told of a part that has ended (a run of a burst, some merges), before Done: `done` so far, above 0.
  virtual void Progress(int64_t done) = 0;
  virtual void Done(const char* code, const std::string& message) = 0;
};

// What jobs work on.
class JobOwner {
 public:
  virtual ~JobOwner() = default;
  // Cancels the job under way, if any, at its next step.
  void Cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  bool busy() const { return busy_.load(std::memory_order_acquire); }

 private:
  friend class OwnedJob;
  std::atomic<bool> cancelled_{false};
  std::atomic<bool> busy_{false};
};

// A job of one owner: catches what its steps throw, and says at its end how it went.
class OwnedJob : public Job {
 public:
  OwnedJob(std::shared_ptr<JobOwner> owner, std::unique_ptr<Completion> completion)
      : owner_(std::move(owner)), completion_(std::move(completion)) {
    if (owner_->busy_.exchange(true))
      throw EngineError(ErrorCode::kInternal, "engine: a job is under way already");
    owner_->cancelled_.store(false, std::memory_order_relaxed);
  }

  // A job that could not be queued lets the owner go too.
  ~OwnedJob() override {
    if (owner_) owner_->busy_.store(false, std::memory_order_release);
  }

  bool Step() final {
    try {
      if (owner_->cancelled_.load(std::memory_order_relaxed))
        throw EngineError(ErrorCode::kAborted, "The operation was aborted");
      return Advance();
    } catch (const EngineError& e) {
      code_ = CodeName(e.code());
      message_ = e.what();
    } catch (const std::bad_alloc&) {
      code_ = CodeName(ErrorCode::kOutOfMemory);
      message_ = "the system has no more memory to give";
    } catch (const std::exception& e) {
      code_ = CodeName(ErrorCode::kInternal);
      message_ = e.what();
    }
    return true;
  }

  void Finish() final {
    if (!code_) Succeed();
    owner_->busy_.store(false, std::memory_order_release);
    owner_.reset();
    if (completion_) completion_->Done(code_, message_);
  }

 protected:
  // Runs one step; true after the last. May throw EngineError.
  virtual bool Advance() = 0;
  virtual void Succeed() {}

  std::shared_ptr<JobOwner> owner_;
  std::unique_ptr<Completion> completion_;

 private:
  const char* code_ = nullptr;
  std::string message_;
};

}  // namespace triga
