#include "native/plan.h"

#include <algorithm>
#include <utility>

#include "native/error.h"

namespace triga {
namespace {

constexpr int64_t kMaxElements = int64_t{1} << 46;

[[noreturn]] void Fail(const std::string& message) {
  throw EngineError(ErrorCode::kInternal, "plan: " + message);
}

int64_t CapacityOf(const PlanSpec& spec, const Dim& d) {
  return d.slot < 0 ? d.size : spec.capacities[static_cast<size_t>(d.slot)];
}

// Product of the dimensions at capacity. Fails where it is absurd.
int64_t CapacityOf(const PlanSpec& spec, const std::vector<Dim>& dims) {
  int64_t n = 1;
  for (const Dim& d : dims) {
    const int64_t size = CapacityOf(spec, d);
    if (size != 0 && n > kMaxElements / size) Fail("a value is too large");
    n *= size;
  }
  return n;
}

}  // namespace

int64_t RunContext::Size(int32_t value, size_t axis) const {
  return Size(plan->spec().values[static_cast<size_t>(value)].dims[axis]);
}

int64_t RunContext::Count(int32_t value) const {
  int64_t n = 1;
  for (const Dim& d : plan->spec().values[static_cast<size_t>(value)].dims) n *= Size(d);
  return n;
}

int64_t RunContext::Rows(int32_t value) const {
  const auto& dims = plan->spec().values[static_cast<size_t>(value)].dims;
  int64_t n = 1;
  for (size_t i = 0; i + 1 < dims.size(); ++i) n *= Size(dims[i]);
  return n;
}

char* RunContext::Address(int32_t value) const {
  if (value < 0) return nullptr;
  const PlanValue& v = plan->spec().values[static_cast<size_t>(value)];
  const size_t at = static_cast<size_t>(v.at);
  switch (v.source) {
    case Source::kArena:
      return arena + v.at;
    case Source::kInput:
      return inputs.empty() ? nullptr : inputs[at];
    case Source::kOutput:
      return outputs.empty() ? nullptr : outputs[at];
    case Source::kParam:
      return plan->spec().params[at]->data;
    case Source::kState:
      return plan->spec().states[at].data;
  }
  return nullptr;
}

Plan::Plan(PlanSpec spec, const CpuKernels& kernels) : spec_(std::move(spec)) {
  for (const PlanValue& value : spec_.values) CheckValue(value);
  RunContext capacity;
  capacity.plan = this;
  capacity.kernels = &kernels;
  capacity.slots = spec_.capacities.data();
  for (size_t i = 0; i < spec_.steps.size(); ++i) {
    const StepLoader loader(*this, spec_.steps[i], i, kernels);
    Step step = LoadStep(loader, spec_.steps[i].kernel);
    step.name = spec_.steps[i].kernel;
    for (const auto& check : loader.checks()) {
      step.run = [check, run = std::move(step.run)](const RunContext& c) {
        check(c);
        run(c);
      };
    }
    if (step.scratch) scratch_bytes_ = std::max(scratch_bytes_, step.scratch(capacity));
    steps_.push_back(std::move(step));
  }
  scratch_bytes_ = (scratch_bytes_ + 63) / 64 * 64;
}

void Plan::CheckValue(const PlanValue& value) const {
  if (value.dims.size() > static_cast<size_t>(kMaxRank)) Fail("a value has too many axes");
  for (const Dim& d : value.dims) {
    if (d.slot >= static_cast<int32_t>(spec_.capacities.size())) Fail("a slot that does not exist");
    if (CapacityOf(spec_, d) < 0) Fail("a negative size");
  }
  const auto index = [&](size_t count) {
    if (value.at < 0 || value.at >= static_cast<int64_t>(count)) Fail("an index out of range");
    return static_cast<size_t>(value.at);
  };
  const int64_t element = static_cast<int64_t>(BytesOf(value.dtype));
  switch (value.source) {
    case Source::kArena:
      if (value.at < 0 || value.at % 64 != 0 ||
          value.at + CapacityOf(spec_, value.dims) * element > spec_.arena_bytes)
        Fail("a value outside the arena");
      break;
    case Source::kInput:
      index(static_cast<size_t>(spec_.inputs));
      break;
    case Source::kOutput:
      index(static_cast<size_t>(spec_.outputs));
      break;
    case Source::kParam: {
      const Param& p = *spec_.params[index(spec_.params.size())];
      if (p.dtype != value.dtype) Fail("a parameter of another type");
      if (CapacityOf(spec_, value.dims) > p.n * p.k) Fail("a parameter smaller than its value");
      break;
    }
    case Source::kState:
      if (CapacityOf(spec_, value.dims) * element >
          static_cast<int64_t>(spec_.states[index(spec_.states.size())].bytes))
        Fail("a state smaller than its value");
      break;
    default:
      Fail("an unknown source");
  }
}

void Plan::CheckRun(const RunContext& context) const {
  for (size_t i = 0; i < spec_.capacities.size(); ++i) {
    if (context.slots[i] < 0 || context.slots[i] > spec_.capacities[i]) {
      throw EngineError(ErrorCode::kInternal, "run: slot " + std::to_string(i) + " has size " +
                                                  std::to_string(context.slots[i]) +
                                                  ", above the plan's " +
                                                  std::to_string(spec_.capacities[i]));
    }
  }
  for (const auto& check : input_checks_) check.second(context);
}

void StepLoader::Expect(bool ok, const std::string& what) const {
  if (!ok) Fail("step " + std::to_string(index_) + " (" + step_.kernel + "): expected " + what);
}

int32_t StepLoader::AnyIn(size_t i) const {
  Expect(i < step_.inputs.size() && step_.inputs[i] >= 0 &&
             step_.inputs[i] < static_cast<int32_t>(plan_.spec_.values.size()),
         "input " + std::to_string(i));
  return step_.inputs[i];
}

int32_t StepLoader::AnyOut(size_t i) const {
  Expect(i < step_.outputs.size() && step_.outputs[i] >= 0 &&
             step_.outputs[i] < static_cast<int32_t>(plan_.spec_.values.size()),
         "output " + std::to_string(i));
  const int32_t v = step_.outputs[i];
  Expect(Value(v).source != Source::kInput && Value(v).source != Source::kParam,
         "an output that can be written");
  return v;
}

int32_t StepLoader::In(size_t i, DType dtype) const {
  const int32_t v = AnyIn(i);
  Expect(Value(v).dtype == dtype, "another type for input " + std::to_string(i));
  return v;
}

int32_t StepLoader::Optional(size_t i, DType dtype) const {
  return i >= step_.inputs.size() || step_.inputs[i] < 0 ? -1 : In(i, dtype);
}

int32_t StepLoader::Out(size_t i, DType dtype) const {
  const int32_t v = AnyOut(i);
  Expect(Value(v).dtype == dtype, "another type for output " + std::to_string(i));
  return v;
}

double StepLoader::Attr(size_t i) const {
  Expect(i < step_.attrs.size(), "attribute " + std::to_string(i));
  return step_.attrs[i];
}

int64_t StepLoader::Int(size_t i, int64_t low, int64_t high) const {
  const double a = Attr(i);
  Expect(a >= static_cast<double>(low) && a <= static_cast<double>(high),
         "attribute " + std::to_string(i) + " in its range");
  return static_cast<int64_t>(a);
}

Dim StepLoader::DimOf(int32_t v, size_t axis) const {
  Expect(axis < Rank(v), "another axis");
  return Value(v).dims[axis];
}

int64_t StepLoader::Fixed(int32_t v, size_t axis) const {
  const Dim d = DimOf(v, axis);
  Expect(d.slot < 0, "a fixed size");
  return d.size;
}

const Param& StepLoader::ParamOf(int32_t v, ParamLayout layout) const {
  Expect(Value(v).source == Source::kParam, "a parameter");
  const Param& p = *plan_.spec_.params[static_cast<size_t>(Value(v).at)];
  Expect(p.layout == layout, "a parameter in another layout");
  return p;
}

void StepLoader::ExpectSameRows(int32_t a, int32_t b) const {
  const auto& x = Value(a).dims;
  const auto& y = Value(b).dims;
  Expect(!x.empty() && x.size() == y.size() && std::equal(x.begin(), x.end() - 1, y.begin()),
         "the same rows");
}

void StepLoader::ExpectSameShape(int32_t a, int32_t b) const {
  Expect(Value(a).dims == Value(b).dims, "the same shape");
}

void StepLoader::ExpectNumberARow(int32_t numbers, int32_t rows) const {
  const auto& x = Value(numbers).dims;
  const auto& y = Value(rows).dims;
  Expect(x.size() + 1 == y.size() && std::equal(x.begin(), x.end(), y.begin()),
         "a number for each row");
}

void StepLoader::ExpectBytesOf(int32_t q, int32_t scale, int32_t x) const {
  ExpectSameRows(x, q);
  const size_t last = Rank(x) - 1;
  Expect(Fixed(q, last) == ScalesOf(Fixed(x, last)) * kGroup, "bytes in whole groups");
  ExpectNumberARow(scale, x);
}

void StepLoader::CheckNumbers(const std::string& key, std::initializer_list<int32_t> values,
                              std::function<void(const RunContext&)> check) const {
  const bool fed = std::all_of(values.begin(), values.end(), [&](int32_t v) {
    return Value(v).source == Source::kInput || Value(v).source == Source::kParam;
  });
  if (fed) {
    plan_.input_checks_.emplace(key, std::move(check));
  } else {
    checks_.push_back(std::move(check));
  }
}

std::string StepLoader::Key(const char* what, std::initializer_list<int32_t> values) const {
  std::string key = what;
  for (const int32_t v : values) key += ":" + std::to_string(v);
  return key;
}

}  // namespace triga
