#include "native/environment.h"

#include <utility>

namespace triga {
namespace {

// Instance data: a shared pointer, because completions of jobs hold the environment too.
struct Instance {
  std::shared_ptr<Environment> environment;
};

}  // namespace

class PromiseCompletion final : public Completion {
 public:
  PromiseCompletion(std::shared_ptr<Environment> environment, Settlement* settlement)
      : environment_(std::move(environment)), settlement_(settlement) {}

  // A job that never came to its end still settles its promise.
  ~PromiseCompletion() override {
    if (settlement_)
      Done("OUT_OF_MEMORY", "the engine could not start a job: the system lacks threads or memory");
  }

  void Progress(int64_t done) override { environment_->Enqueue({settlement_, done}); }

  void Done(const char* code, const std::string& message) override {
    settlement_->code = code;
    settlement_->message = message;
    environment_->Enqueue({std::exchange(settlement_, nullptr), 0});
  }

 private:
  std::shared_ptr<Environment> environment_;
  Settlement* settlement_;
};

void Environment::Attach(Napi::Env env) {
  auto environment = std::make_shared<Environment>();
  napi_value name;
  napi_create_string_utf8(env, "triga", NAPI_AUTO_LENGTH, &name);
  const auto deliver = [](napi_env e, napi_value, void* context, void*) {
    if (!e) return;
    Napi::HandleScope scope(e);
    static_cast<Environment*>(context)->Drain(e);
  };
  if (napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr,
                                      environment.get(), deliver,
                                      &environment->notify_) != napi_ok) {
    throw Napi::Error::New(env, "triga: the environment cannot take results");
  }
  napi_unref_threadsafe_function(env, environment->notify_);
  env.SetInstanceData(new Instance{environment});
  // Hooks run in reverse order: this one before the function above is closed.
  env.AddCleanupHook([environment] { environment->Shutdown(); });
}

Environment& Environment::Of(Napi::Env env) {
  return *env.GetInstanceData<Instance>()->environment;
}

napi_value Environment::MakeError(napi_env env, const char* code,
                                  const std::string& message) const {
  napi_value args[2], undefined, error = nullptr;
  napi_create_string_utf8(env, code, NAPI_AUTO_LENGTH, &args[0]);
  napi_create_string_utf8(env, message.c_str(), message.size(), &args[1]);
  napi_get_undefined(env, &undefined);
  const bool made =
      !error_factory_.IsEmpty() &&
      napi_call_function(env, undefined, error_factory_.Value(), 2, args, &error) == napi_ok;
  if (!made) napi_create_error(env, nullptr, args[1], &error);
  return error;
}

void Environment::Register(const std::shared_ptr<JobOwner>& owner) {
  std::lock_guard<std::mutex> lock(mutex_);
  std::vector<std::weak_ptr<JobOwner>> live;
  for (auto& o : owners_) {
    if (!o.expired()) live.push_back(o);
  }
  live.push_back(owner);
  owners_ = std::move(live);
}

std::unique_ptr<Completion> Environment::Expect(Napi::Env env,
                                                std::vector<Napi::Reference<Napi::Value>> kept,
                                                Napi::FunctionReference on_progress,
                                                Napi::Promise* promise) {
  auto* settlement = new Settlement{nullptr, std::move(on_progress), std::move(kept), nullptr, {}};
  napi_value value;
  napi_create_promise(env, &settlement->deferred, &value);
  *promise = Napi::Promise(env, value);
  if (expected_++ == 0) napi_ref_threadsafe_function(env, notify_);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    ++running_;
  }
  return std::make_unique<PromiseCompletion>(shared_from_this(), settlement);
}

void Environment::Enqueue(Report report) {
  // The environment cannot end before `running_` falls, so the function is open here.
  std::lock_guard<std::mutex> lock(mutex_);
  reports_.push_back(report);
  napi_call_threadsafe_function(notify_, nullptr, napi_tsfn_nonblocking);
  if (report.done == 0) {
    --running_;
    changed_.notify_all();
  }
}

// Plain calls of the C interface: in a worker that is being terminated they fail, which ends nothing, where the C++ wrappers
// would make an error object of it, and that is fatal there. Nobody hears of such a promise.
void Environment::Drain(napi_env env) {
  while (true) {
    Report report;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (reports_.empty()) return;
      report = reports_.front();
      reports_.pop_front();
    }
    if (report.done == 0) {
      Settle(env, std::unique_ptr<Settlement>(report.settlement));
    } else if (!report.settlement->on_progress.IsEmpty()) {
      napi_value undefined, done, result;
      napi_get_undefined(env, &undefined);
      napi_create_double(env, static_cast<double>(report.done), &done);
      napi_call_function(env, undefined, report.settlement->on_progress.Value(), 1, &done, &result);
      bool thrown = false;
      napi_is_exception_pending(env, &thrown);
      if (thrown) napi_get_and_clear_last_exception(env, &result);
    }
  }
}

void Environment::Settle(napi_env env, std::unique_ptr<Settlement> s) {
  if (--expected_ == 0) napi_unref_threadsafe_function(env, notify_);
  if (s->code) {
    napi_value error = MakeError(env, s->code, s->message);
    if (error) napi_reject_deferred(env, s->deferred, error);
  } else {
    napi_value undefined;
    napi_get_undefined(env, &undefined);
    napi_resolve_deferred(env, s->deferred, undefined);
  }
}

void Environment::Shutdown() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (auto& weak : owners_) {
    if (auto owner = weak.lock()) owner->Cancel();
  }
  changed_.wait(lock, [this] { return running_ == 0; });
  for (const Report& r : reports_) {
    if (r.done == 0) delete r.settlement;
  }
  reports_.clear();
  error_factory_.Reset();
}

}  // namespace triga
