// A plan: kernel steps over values with addresses, checked once when it is loaded, run many times. A run brings the sizes of the
// symbolic dimensions ("slots"), never above the capacities that the plan was checked for, and memory for inputs and outputs.
#pragma once
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <string>
#include <vector>

#include "kernels/cpu/kernel.h"
#include "native/params.h"
#include "native/pool.h"

namespace triga {

enum class Source : int32_t { kArena = 0, kInput = 1, kOutput = 2, kParam = 3, kState = 4 };

// A size: fixed, or that of a slot.
struct Dim {
  int64_t size = 0;
  int32_t slot = -1;
  bool operator==(const Dim& o) const { return size == o.size && slot == o.slot; }
};

struct PlanValue {
  Source source;
  int64_t at;  // byte offset in the arena, or an index
  DType dtype;
  std::vector<Dim> dims;
};

struct StepSpec {
  std::string kernel;
  std::vector<int32_t> inputs, outputs;  // indices of values; −1: absent
  std::vector<double> attrs;
};

// Memory that outlives runs (a KV cache).
struct StateMemory {
  char* data;
  size_t bytes;
};

struct PlanSpec {
  int64_t arena_bytes = 0;
  std::vector<int64_t> capacities;  // of each slot
  int32_t inputs = 0, outputs = 0;
  std::vector<const Param*> params;
  std::vector<StateMemory> states;
  std::vector<PlanValue> values;
  std::vector<StepSpec> steps;
};

class Plan;

// One run in progress, on the leader thread.
class RunContext {
 public:
  const Plan* plan = nullptr;
  const CpuKernels* kernels = nullptr;
  const int64_t* slots = nullptr;
  char* arena = nullptr;
  std::vector<char*> inputs, outputs;
  char* scratch = nullptr;  // `scratch_stride` bytes a thread
  size_t scratch_stride = 0;
  int threads = 1;

  int64_t Size(const Dim& d) const { return d.slot < 0 ? d.size : slots[d.slot]; }
  int64_t Size(int32_t value, size_t axis) const;
  int64_t Count(int32_t value) const;
  // Elements a row of the last axis apart; rows of it.
  int64_t Rows(int32_t value) const;
  char* Address(int32_t value) const;  // null for an absent value
  float* F32(int32_t value) const { return reinterpret_cast<float*>(Address(value)); }
  int8_t* I8(int32_t value) const { return reinterpret_cast<int8_t*>(Address(value)); }
  const int32_t* I32(int32_t value) const {
    return reinterpret_cast<const int32_t*>(Address(value));
  }

  // Runs a kernel's tiles on all threads.
  template <class Args>
  void Run(const Kernel<Args>& kernel, const Args& args) const {
    struct Call {
      const Kernel<Args>* kernel;
      const Args* args;
      const RunContext* context;
    } call{&kernel, &args, this};
    Pool::Get().ParallelFor(
        kernel.tiles(args), threads,
        [](void* p, int64_t begin, int64_t end, int thread) {
          const Call& c = *static_cast<Call*>(p);
          c.kernel->run(
              *c.args, begin, end,
              c.context->scratch + static_cast<size_t>(thread) * c.context->scratch_stride);
        },
        &call);
  }
};

struct Step {
  std::string name;
  std::function<void(const RunContext&)> run;
  // Bytes a thread needs at the sizes of the context, whose addresses are not to be followed. Null: none.
  std::function<size_t(const RunContext&)> scratch;
};

class Plan {
 public:
  // Checks everything that can be checked before a run. Throws EngineError naming the step.
  Plan(PlanSpec spec, const CpuKernels& kernels);

  const PlanSpec& spec() const { return spec_; }
  const std::vector<Step>& steps() const { return steps_; }
  size_t scratch_bytes() const { return scratch_bytes_; }

  // Checks a run's sizes, and the numbers in its inputs that become addresses. Throws EngineError.
  void CheckRun(const RunContext& context) const;

 private:
  friend class StepLoader;
  void CheckValue(const PlanValue& value) const;

  PlanSpec spec_;
  std::vector<Step> steps_;
  std::map<std::string, std::function<void(const RunContext&)>> input_checks_;
  size_t scratch_bytes_ = 0;
};

// What a step's factory sees of the plan.
class StepLoader {
 public:
  StepLoader(Plan& plan, const StepSpec& step, size_t index, const CpuKernels& kernels)
      : kernels(kernels), plan_(plan), step_(step), index_(index) {}

  const CpuKernels& kernels;

  int32_t In(size_t i, DType dtype) const;        // a value that must be there
  int32_t Optional(size_t i, DType dtype) const;  // or −1
  int32_t Out(size_t i, DType dtype) const;
  int32_t AnyIn(size_t i) const;
  int32_t AnyOut(size_t i) const;
  double Attr(size_t i) const;
  int64_t Int(size_t i, int64_t low, int64_t high) const;
  const PlanValue& Value(int32_t v) const { return plan_.spec_.values[static_cast<size_t>(v)]; }
  size_t Rank(int32_t v) const { return Value(v).dims.size(); }
  Dim DimOf(int32_t v, size_t axis) const;
  int64_t Fixed(int32_t v, size_t axis) const;  // a size that must be fixed
  const Param& ParamOf(int32_t v, ParamLayout layout) const;
  void Expect(bool ok, const std::string& what) const;
  // All axes of `a` but the last equal those of `b`.
  void ExpectSameRows(int32_t a, int32_t b) const;
  void ExpectSameShape(int32_t a, int32_t b) const;
  // `q` and `scale` are x's rows as bytes, in whole groups, and a number for each row.
  void ExpectBytesOf(int32_t q, int32_t scale, int32_t x) const;
  void ExpectNumberARow(int32_t numbers, int32_t rows) const;
  // A check of the numbers in `values`, which become addresses. Where they are fed: before each run, once a plan, whatever number
  // of steps asks for it. Where another step computes them: before this step.
  void CheckNumbers(const std::string& key, std::initializer_list<int32_t> values,
                    std::function<void(const RunContext&)> check) const;
  std::string Key(const char* what, std::initializer_list<int32_t> values) const;
  // The checks that run before this step.
  const std::vector<std::function<void(const RunContext&)>>& checks() const { return checks_; }

 private:
  Plan& plan_;
  const StepSpec& step_;
  size_t index_;
  mutable std::vector<std::function<void(const RunContext&)>> checks_;
};

// Makes the step of a kernel; the table is in steps.cc.
Step LoadStep(const StepLoader& loader, const std::string& kernel);

// Factories, by file.
Step LoadLinear(const StepLoader&);
Step LoadQuantizedLinear(const StepLoader&);
Step LoadMatmul(const StepLoader&);
Step LoadEmbedding(const StepLoader&);
Step LoadRmsNorm(const StepLoader&);
Step LoadLayerNorm(const StepLoader&);
Step LoadRmsNormQuantized(const StepLoader&);
Step LoadLayerNormQuantized(const StepLoader&);
Step LoadQuantizeRows(const StepLoader&);
Step LoadUnary(const StepLoader&);
Step LoadBinary(const StepLoader&);
Step LoadCopy(const StepLoader&);
Step LoadReduce(const StepLoader&);
Step LoadUnaryGrad(const StepLoader&);
Step LoadReduceGrad(const StepLoader&);
Step LoadPad(const StepLoader&);
Step LoadSoftmax(const StepLoader&);
Step LoadGatherRows(const StepLoader&);
Step LoadRopeTable(const StepLoader&);
Step LoadRopeKvWrite(const StepLoader&);
Step LoadKvWrite(const StepLoader&);
Step LoadKvCopy(const StepLoader&);
Step LoadPagedAttention(const StepLoader&);
Step LoadAttention(const StepLoader&);
Step LoadAttentionGrad(const StepLoader&);
Step LoadAccumulate(const StepLoader&);
Step LoadActivation(const StepLoader&);
Step LoadActivationGrad(const StepLoader&);
Step LoadAdamw(const StepLoader&);
Step LoadCrossEntropy(const StepLoader&);
Step LoadCrossEntropyGrad(const StepLoader&);
Step LoadLinearCrossEntropy(const StepLoader&);
Step LoadLinearCrossEntropyGrad(const StepLoader&);
Step LoadEma(const StepLoader&);
Step LoadEmbeddingGrad(const StepLoader&);
Step LoadEmbeddingRows(const StepLoader&);
Step LoadFill(const StepLoader&);
Step LoadLayerNormGrad(const StepLoader&);
Step LoadRmsNormGrad(const StepLoader&);
Step LoadRope(const StepLoader&);
Step LoadSgd(const StepLoader&);
Step LoadSumSquares(const StepLoader&);
Step LoadConv2d(const StepLoader&);
Step LoadPool2d(const StepLoader&);
Step LoadUpsample2d(const StepLoader&);
Step LoadGroupNorm(const StepLoader&);
Step LoadConv2dGradX(const StepLoader&);
Step LoadConv2dGradW(const StepLoader&);
Step LoadPool2dGrad(const StepLoader&);
Step LoadGroupNormGrad(const StepLoader&);
Step LoadSample(const StepLoader&);
Step LoadPeakRead(const StepLoader&);
Step LoadPeakFma(const StepLoader&);
Step LoadPeakDot(const StepLoader&);
Step LoadPeakInt8(const StepLoader&);

}  // namespace triga
