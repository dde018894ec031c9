#include "native/session.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "native/error.h"

namespace triga {

class SessionJob : public OwnedJob {
 public:
  SessionJob(const std::shared_ptr<Session>& session, std::unique_ptr<Completion> completion)
      : OwnedJob(session, std::move(completion)), session_(session.get()) {
    session_->end_burst_.store(false, std::memory_order_relaxed);
  }

 protected:
  Session* const session_;  // the owner, which the job keeps
};

class LoadJob final : public SessionJob {
 public:
  LoadJob(const std::shared_ptr<Session>& session, std::unique_ptr<ParamBatch> batch,
          std::unique_ptr<Completion> completion)
      : SessionJob(session, std::move(completion)),
        batch_(std::move(batch)),
        staging_(static_cast<size_t>(session_->threads_)) {}

 private:
  // A step loads a few items a thread, so that other models' steps come in between.
  bool Advance() override {
    const int64_t count = std::min<int64_t>(batch_->items() - next_, 4 * session_->threads_);
    Pool::Get().ParallelFor(count, session_->threads_, &LoadItems, this);
    next_ += count;
    if (failure_) throw *failure_;
    return next_ >= batch_->items();
  }

  static void LoadItems(void* context, int64_t begin, int64_t end, int thread) {
    LoadJob& job = *static_cast<LoadJob*>(context);
    for (int64_t i = begin; i < end; ++i) {
      try {
        job.batch_->Load(job.next_ + i, job.session_->kernels_,
                         job.staging_[static_cast<size_t>(thread)]);
      } catch (const EngineError& e) {
        job.Fail(e);
      } catch (const std::exception&) {
        job.Fail(EngineError(ErrorCode::kOutOfMemory,
                             "the system has no more memory to give while weights are read"));
      }
    }
  }

  void Fail(const EngineError& e) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!failure_) failure_ = std::make_unique<EngineError>(e);
  }

  void Succeed() override {
    batch_->Close();
    for (const Param& p : batch_->params()) session_->params_.push_back(&p);
    session_->batches_.push_back(std::move(batch_));
  }

  std::unique_ptr<ParamBatch> batch_;
  std::vector<std::vector<char>> staging_;
  int64_t next_ = 0;
  std::mutex mutex_;
  std::unique_ptr<EngineError> failure_;
};

class RunJob final : public SessionJob {
 public:
  RunJob(const std::shared_ptr<Session>& session, RunRequest request,
         std::unique_ptr<Completion> completion)
      : SessionJob(session, std::move(completion)), request_(std::move(request)) {
    context_.plan = request_.plan;
    context_.kernels = &session_->kernels_;
    context_.slots = request_.slots.data();
    for (auto& input : request_.inputs) context_.inputs.push_back(input.data());
    for (auto& output : request_.outputs) context_.outputs.push_back(output.first);
    context_.threads = session_->threads_;
  }

 private:
  bool Advance() override {
    const auto& steps = request_.plan->steps();
    if (next_ == 0 && done_ == 0) Begin();
    if (next_ < steps.size()) steps[next_++].run(context_);
    if (next_ < steps.size()) return false;
    if (request_.burst.steps == 1) return true;
    next_ = 0;
    completion_->Progress(++done_);
    return !Continue();
  }

  // Makes the inputs of the burst's next run; false: it has ended.
  bool Continue() {
    const Burst& burst = request_.burst;
    if (done_ >= burst.steps || session_->end_burst_.load(std::memory_order_relaxed)) return false;
    const int32_t* ids =
        reinterpret_cast<const int32_t*>(context_.outputs[static_cast<size_t>(burst.ids)]);
    const size_t rows = request_.inputs[static_cast<size_t>(burst.tokens)].size() / sizeof(int32_t);
    for (size_t r = 0; r < rows; ++r) {
      if (ids[r] < 0 ||
          std::find(burst.stops.begin(), burst.stops.end(), ids[r]) != burst.stops.end())
        return false;
      Ints(burst.tokens)[r] = ids[r];
    }
    for (const Burst::Counter& c : burst.counters) {
      const int64_t count = static_cast<int64_t>(
          request_.inputs[static_cast<size_t>(c.input)].size() / sizeof(int32_t));
      for (int64_t i = c.first; i < count; i += c.stride) ++Ints(c.input)[i];
    }
    const size_t width =
        rows ? request_.inputs[static_cast<size_t>(burst.tables)].size() / sizeof(int32_t) / rows
             : 0;
    for (size_t r = 0; r < rows; ++r) {
      const size_t position = static_cast<size_t>(Ints(burst.positions)[r]),
                   block = position / kBlock;
      if (block >= width)
        throw EngineError(ErrorCode::kInternal, "burst: a row has outgrown its blocks");
      Ints(burst.slots)[r] = Ints(burst.tables)[r * width + block] * static_cast<int32_t>(kBlock) +
                             static_cast<int32_t>(position % kBlock);
    }
    for (size_t i = 0; i < context_.outputs.size(); ++i) context_.outputs[i] += OutputBytes(i);
    request_.plan->CheckRun(context_);
    return true;
  }

  int32_t* Ints(int32_t input) {
    return reinterpret_cast<int32_t*>(request_.inputs[static_cast<size_t>(input)].data());
  }
  // Bytes of an output for one run.
  size_t OutputBytes(size_t output) const {
    return request_.outputs[output].second / static_cast<size_t>(request_.burst.steps);
  }

  void Begin() {
    const Plan& plan = *request_.plan;
    CheckMemory();
    CheckBurst();
    plan.CheckRun(context_);
    if (session_->arena_.bytes() < static_cast<size_t>(plan.spec().arena_bytes)) {
      session_->arena_ = Memory(static_cast<size_t>(plan.spec().arena_bytes));
    }
    const size_t scratch = plan.scratch_bytes() * static_cast<size_t>(session_->threads_);
    if (session_->scratch_.bytes() < scratch) session_->scratch_ = Memory(scratch);
    context_.arena = session_->arena_.data();
    context_.scratch = session_->scratch_.data();
    context_.scratch_stride = plan.scratch_bytes();
  }

  // Inputs and outputs are as long as the values that lie in them.
  void CheckMemory() const {
    const PlanSpec& spec = request_.plan->spec();
    const auto bad = [] {
      throw EngineError(ErrorCode::kInternal,
                        "run: an input, output or slot does not fit the plan");
    };
    if (request_.slots.size() != spec.capacities.size() ||
        context_.inputs.size() != static_cast<size_t>(spec.inputs) ||
        context_.outputs.size() != static_cast<size_t>(spec.outputs)) {
      bad();
    }
    for (size_t i = 0; i < spec.values.size(); ++i) {
      const PlanValue& v = spec.values[i];
      if (v.source != Source::kInput && v.source != Source::kOutput) continue;
      int64_t bytes = static_cast<int64_t>(BytesOf(v.dtype));
      for (const Dim& d : v.dims) {
        const int64_t size = context_.Size(d);
        if (size < 0 || size > int64_t{1} << 31 || (size != 0 && bytes > (int64_t{1} << 46) / size))
          bad();
        bytes *= size;
      }
      const size_t at = static_cast<size_t>(v.at);
      const size_t have = v.source == Source::kInput ? request_.inputs[at].size() : OutputBytes(at);
      if (static_cast<int64_t>(have) != bytes) bad();
    }
  }

  // The inputs that a burst counts on are there, with a number for each row.
  void CheckBurst() const {
    const Burst& b = request_.burst;
    if (b.steps == 1) return;
    const auto bad = [] {
      throw EngineError(ErrorCode::kInternal, "burst: its inputs and outputs do not fit together");
    };
    const auto input = [&](int32_t i) -> size_t {
      if (i < 0 || static_cast<size_t>(i) >= request_.inputs.size()) bad();
      return request_.inputs[static_cast<size_t>(i)].size() / sizeof(int32_t);
    };
    const size_t rows = input(b.tokens);
    if (b.steps < 1 || b.ids < 0 || static_cast<size_t>(b.ids) >= request_.outputs.size()) bad();
    if (OutputBytes(static_cast<size_t>(b.ids)) != rows * sizeof(int32_t)) bad();
    if (input(b.positions) != rows || input(b.slots) != rows ||
        (rows && input(b.tables) % rows != 0))
      bad();
    for (const Burst::Counter& c : b.counters) {
      input(c.input);
      if (c.first < 0 || c.stride < 1) bad();
    }
  }

  RunRequest request_;
  RunContext context_;
  size_t next_ = 0;   // of the plan's steps
  int64_t done_ = 0;  // runs of the burst
};

class DisposeJob final : public SessionJob {
 public:
  using SessionJob::SessionJob;

 private:
  bool Advance() override {
    session_->plans_.clear();
    session_->params_.clear();
    session_->batches_.clear();
    session_->states_.clear();
    session_->arena_ = Memory();
    session_->scratch_ = Memory();
    ReturnFreeMemory();
    return true;
  }
};

void Session::Load(const std::shared_ptr<Session>& self, std::unique_ptr<ParamBatch> batch,
                   std::unique_ptr<Completion> completion) {
  Pool::Get().Submit(std::make_shared<LoadJob>(self, std::move(batch), std::move(completion)),
                     self->threads_);
}

size_t Session::AddState(size_t bytes) {
  states_.emplace_back(bytes);
  return states_.size() - 1;
}

size_t Session::AddPlan(PlanSpec spec, const std::vector<size_t>& params,
                        const std::vector<size_t>& states) {
  for (const size_t i : params) {
    if (i >= params_.size())
      throw EngineError(ErrorCode::kInternal, "plan: a parameter that is not loaded");
    spec.params.push_back(params_[i]);
  }
  for (const size_t i : states) {
    if (i >= states_.size())
      throw EngineError(ErrorCode::kInternal, "plan: a state that does not exist");
    spec.states.push_back({states_[i].data(), states_[i].bytes()});
  }
  plans_.push_back(std::make_unique<Plan>(std::move(spec), kernels_));
  return plans_.size() - 1;
}

StateMemory Session::state(size_t index) {
  if (index >= states_.size()) throw EngineError(ErrorCode::kInternal, "session: no such state");
  return {states_[index].data(), states_[index].bytes()};
}

const Plan& Session::plan(size_t index) const {
  if (index >= plans_.size()) throw EngineError(ErrorCode::kInternal, "run: no such plan");
  return *plans_[index];
}

void Session::Run(const std::shared_ptr<Session>& self, RunRequest request,
                  std::unique_ptr<Completion> completion) {
  Pool::Get().Submit(std::make_shared<RunJob>(self, std::move(request), std::move(completion)),
                     self->threads_);
}

void Session::Dispose(const std::shared_ptr<Session>& self,
                      std::unique_ptr<Completion> completion) {
  Pool::Get().Submit(std::make_shared<DisposeJob>(self, std::move(completion)), self->threads_);
}

size_t Session::bytes() const {
  size_t total = arena_.bytes() + scratch_.bytes();
  for (const auto& batch : batches_) total += batch->bytes();
  for (const Memory& state : states_) total += state.bytes();
  return total;
}

}  // namespace triga
