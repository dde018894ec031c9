// What the addon keeps for one JavaScript environment (the main thread or a worker): where finished jobs report, and how the
// environment ends while some are under way.
#pragma once
#include <napi.h>

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "native/owned_job.h"

namespace triga {

// A promise that a job will settle, and the JavaScript memory that it writes to meanwhile. Made and destroyed on the
// environment's own thread.
struct Settlement {
  napi_deferred deferred = nullptr;
  Napi::FunctionReference on_progress;  // empty: nobody asks
  std::vector<Napi::Reference<Napi::Value>> kept;
  const char* code = nullptr;
  std::string message;
};

class Environment : public std::enable_shared_from_this<Environment> {
 public:
  // Attaches a new one to `env`, to be found by Of().
  static void Attach(Napi::Env env);
  static Environment& Of(Napi::Env env);

  // Error that JavaScript sees: made by the factory that lib/ has set, so that it has the right class.
  napi_value MakeError(napi_env env, const char* code, const std::string& message) const;
  void SetErrorFactory(Napi::Function factory) { error_factory_ = Napi::Persistent(factory); }

  void Register(const std::shared_ptr<JobOwner>& owner);
  // A completion that settles a promise on the environment's thread; the promise is returned through `promise`.
  // `on_progress` may be empty.
  std::unique_ptr<Completion> Expect(Napi::Env env, std::vector<Napi::Reference<Napi::Value>> kept,
                                     Napi::FunctionReference on_progress, Napi::Promise* promise);

 private:
  friend class PromiseCompletion;
  // Something to tell JavaScript: progress, or (`done` 0) the end.
  struct Report {
    Settlement* settlement;
    int64_t done;
  };
  void Enqueue(Report report);
  void Settle(napi_env env, std::unique_ptr<Settlement> settlement);
  void Drain(napi_env env);
  void Shutdown();

  napi_threadsafe_function notify_ = nullptr;
  int expected_ = 0;  // promises not settled yet; the environment's thread only
  Napi::FunctionReference error_factory_;

  std::mutex mutex_;
  std::condition_variable changed_;
  int running_ = 0;  // jobs that have not reported
  std::deque<Report> reports_;
  std::vector<std::weak_ptr<JobOwner>> owners_;
};

}  // namespace triga
