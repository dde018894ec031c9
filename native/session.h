// One model on the engine: its parameters, state and plans, and the jobs that work on them. Jobs of a session never overlap.
#pragma once
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "native/burst.h"
#include "native/memory.h"
#include "native/owned_job.h"
#include "native/params.h"
#include "native/plan.h"

namespace triga {

struct RunRequest {
  const Plan* plan;
  std::vector<int64_t> slots;
  std::vector<std::vector<char>> inputs;  // copies
  std::vector<std::pair<char*, size_t>>
      outputs;  // one after the other for each run of the burst; the caller keeps them alive
  Burst burst;
};

class Session final : public JobOwner {
 public:
  Session(const CpuKernels& kernels, int threads) : kernels_(kernels), threads_(threads) {}

  const CpuKernels& kernels() const { return kernels_; }

  // Loads parameters; they get the next indices, in the batch's order.
  static void Load(const std::shared_ptr<Session>& self, std::unique_ptr<ParamBatch> batch,
                   std::unique_ptr<Completion> completion);
  // Adds zeroed state memory and returns its index.
  size_t AddState(size_t bytes);
  // Throws EngineError if there is none of that index.
  StateMemory state(size_t index);
  // Checks a plan; its parameters and states are given by their indices in this session.
  size_t AddPlan(PlanSpec spec, const std::vector<size_t>& params,
                 const std::vector<size_t>& states);
  // Throws EngineError if there is none of that index.
  const Plan& plan(size_t index) const;
  static void Run(const std::shared_ptr<Session>& self, RunRequest request,
                  std::unique_ptr<Completion> completion);

  // Ends the burst under way, if any, after the run that it is in.
  void EndBurst() { end_burst_.store(true, std::memory_order_relaxed); }
  // Frees everything: a job, as to unmap gigabytes takes a while. `completion` may be null.
  static void Dispose(const std::shared_ptr<Session>& self, std::unique_ptr<Completion> completion);

  size_t bytes() const;

 private:
  friend class SessionJob;
  friend class LoadJob;
  friend class RunJob;
  friend class DisposeJob;

  const CpuKernels& kernels_;
  const int threads_;
  std::atomic<bool> end_burst_{false};
  std::vector<std::unique_ptr<ParamBatch>> batches_;
  std::vector<const Param*> params_;
  std::vector<Memory> states_;
  std::vector<std::unique_ptr<Plan>> plans_;
  Memory arena_, scratch_;
};

}  // namespace triga
