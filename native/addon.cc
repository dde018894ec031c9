// The whole export table. One guard turns C++ exceptions into typed JavaScript errors; lib/exec/binding.ts has the types.
#include <napi.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cpu/kernel.h"
#include "native/bpe_wrap.h"
#include "native/convert.h"
#include "native/direct.h"
#include "native/environment.h"
#include "native/error.h"
#include "native/session.h"

namespace triga {
namespace {

template <class T>
std::vector<T> ToInts(const Napi::Value& v, const char* what) {
  const Napi::Array array = ToArray(v, what);
  std::vector<T> out(array.Length());
  for (uint32_t i = 0; i < out.size(); ++i) out[i] = static_cast<T>(ToInt(array[i], what));
  return out;
}

DType ToDType(const Napi::Value& v) {
  const std::string name = v.IsString() ? v.As<Napi::String>().Utf8Value() : "";
  if (name == "f32") return DType::kF32;
  if (name == "f16") return DType::kF16;
  if (name == "bf16") return DType::kBF16;
  if (name == "i32") return DType::kI32;
  if (name == "i8") return DType::kI8;
  if (name == "q8") return DType::kQ8;
  Bad("a dtype of f32, f16, bf16, i32, i8 or q8, got " + name);
}

const CpuKernels& ToKernels(const Napi::Value& v) {
  const std::string isa = v.IsString() ? v.As<Napi::String>().Utf8Value() : "";
  const CpuKernels* kernels = SelectKernels(isa.empty() ? nullptr : isa.c_str());
  if (kernels) return *kernels;
  throw EngineError(ErrorCode::kUnsupported,
                    "this machine cannot run the instruction set \"" + isa + "\"");
}

FilePlace ToPlace(const Napi::Object& o) {
  return {o.Get("file").ToString().Utf8Value(), ToInt(o.Get("offset"), "offset")};
}

ParamPart ToPart(const Napi::Object& o) {
  ParamPart p;
  if (o.Has("name")) p.name = o.Get("name").ToString().Utf8Value();
  p.n = ToInt(o.Get("n"), "n");
  p.k = ToInt(o.Get("k"), "k");
  p.dtype = ToDType(o.Get("dtype"));
  p.transposed = o.Get("transposed").ToBoolean();
  if (o.Has("file")) {
    p.place = ToPlace(o);
    if (o.Has("scales")) p.scales = ToPlace(o.Get("scales").ToObject());
  } else if (o.Has("data")) {
    const auto [data, bytes] = ToMemory(o.Get("data"));
    p.data.assign(data, data + bytes);
  }
  return p;
}

ParamSpec ToParamSpec(const Napi::Object& o) {
  ParamSpec spec;
  spec.layout = o.Get("layout").ToString().Utf8Value() == "panels" ? ParamLayout::kPanels
                                                                   : ParamLayout::kVector;
  spec.gated = o.Get("gated").ToBoolean();
  spec.dtype = ToDType(o.Get("dtype"));
  const Napi::Array parts = ToArray(o.Get("parts"), "parts");
  for (uint32_t i = 0; i < parts.Length(); ++i)
    spec.parts.push_back(ToPart(parts.Get(i).ToObject()));
  return spec;
}

PlanValue ToValue(const Napi::Object& o) {
  PlanValue v{static_cast<Source>(ToInt(o.Get("source"), "source")),
              ToInt(o.Get("at"), "at"),
              ToDType(o.Get("dtype")),
              {}};
  for (const int64_t d : ToInts<int64_t>(o.Get("dims"), "dims")) {
    v.dims.push_back(d < 0 ? Dim{0, static_cast<int32_t>(-1 - d)} : Dim{d, -1});
  }
  return v;
}

StepSpec ToStep(const Napi::Object& o) {
  StepSpec s{o.Get("kernel").ToString().Utf8Value(),
             ToInts<int32_t>(o.Get("inputs"), "inputs"),
             ToInts<int32_t>(o.Get("outputs"), "outputs"),
             {}};
  const Napi::Array attrs = ToArray(o.Get("attrs"), "attrs");
  for (uint32_t i = 0; i < attrs.Length(); ++i)
    s.attrs.push_back(ToNumber(attrs[i], "a number as attribute"));
  return s;
}

PlanSpec ToPlan(const Napi::Object& o) {
  PlanSpec spec;
  spec.arena_bytes = ToInt(o.Get("arenaBytes"), "arenaBytes");
  if (spec.arena_bytes < 0) Bad("arenaBytes of 0 or more");
  spec.capacities = ToInts<int64_t>(o.Get("capacities"), "capacities");
  spec.inputs = static_cast<int32_t>(ToInt(o.Get("inputs"), "inputs"));
  spec.outputs = static_cast<int32_t>(ToInt(o.Get("outputs"), "outputs"));
  const Napi::Array values = ToArray(o.Get("values"), "values"),
                    steps = ToArray(o.Get("steps"), "steps");
  for (uint32_t i = 0; i < values.Length(); ++i)
    spec.values.push_back(ToValue(values.Get(i).ToObject()));
  for (uint32_t i = 0; i < steps.Length(); ++i)
    spec.steps.push_back(ToStep(steps.Get(i).ToObject()));
  return spec;
}

Burst ToBurst(const Napi::Object& o) {
  const auto index = [&](const char* name) {
    return static_cast<int32_t>(ToInt(o.Get(name), name));
  };
  Burst b;
  b.steps = ToInt(o.Get("steps"), "steps");
  if (b.steps < 1 || b.steps > 4096) Bad("a burst of 1 to 4096 steps");
  b.ids = index("ids");
  b.tokens = index("tokens");
  b.slots = index("slots");
  b.positions = index("positions");
  b.tables = index("tables");
  b.stops = ToInts<int32_t>(o.Get("stops"), "stops");
  const Napi::Array counters = ToArray(o.Get("counters"), "counters");
  for (uint32_t i = 0; i < counters.Length(); ++i) {
    const auto c = ToInts<int64_t>(counters[i], "a counter");
    if (c.size() != 3) Bad("a counter of three numbers");
    b.counters.push_back({static_cast<int32_t>(c[0]), c[1], c[2]});
  }
  return b;
}

class SessionWrap : public Napi::ObjectWrap<SessionWrap> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(
        env, "Session",
        {InstanceMethod<&SessionWrap::LoadParams>("loadParams"),
         InstanceMethod<&SessionWrap::AddState>("addState"),
         InstanceMethod<&SessionWrap::CopyState>("copyState"),
         InstanceMethod<&SessionWrap::AddPlan>("addPlan"), InstanceMethod<&SessionWrap::Run>("run"),
         InstanceMethod<&SessionWrap::Cancel>("cancel"),
         InstanceMethod<&SessionWrap::EndBurst>("endBurst"),
         InstanceMethod<&SessionWrap::Dispose>("dispose"),
         InstanceAccessor<&SessionWrap::Bytes>("bytes"),
         InstanceAccessor<&SessionWrap::Isa>("isa")});
  }

  // (isa: string | undefined, threads: number)
  explicit SessionWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<SessionWrap>(info) {
    Guard(info, [&](Napi::Env env) -> Napi::Value {
      const CpuKernels& kernels = ToKernels(info[0]);
      session_ = std::make_shared<Session>(kernels, ToThreads(info[1]));
      Environment::Of(env).Register(session_);
      return env.Undefined();
    });
  }

  // A model that nobody disposed. Its memory is freed on the pool: unmapping gigabytes would hold up the garbage collector.
  void Finalize(Napi::Env env) override {
    Report(env, 0);
    if (!session_ || session_->busy() || session_->bytes() == 0) return;
    try {
      Session::Dispose(session_, nullptr);
    } catch (const EngineError&) {
      // No thread could be started: this one frees it.
    }
  }

 private:
  Napi::Value LoadParams(const Napi::CallbackInfo& info) {
    return Guard(info, [&](Napi::Env env) -> Napi::Value {
      CheckIdle();
      const Napi::Array list = ToArray(info[0], "a list of parameters");
      std::vector<ParamSpec> specs;
      for (uint32_t i = 0; i < list.Length(); ++i)
        specs.push_back(ToParamSpec(list.Get(i).ToObject()));
      auto batch = std::make_unique<ParamBatch>(std::move(specs));
      return Submit(env, {}, {}, [&](std::unique_ptr<Completion> done) {
        Session::Load(session_, std::move(batch), std::move(done));
      });
    });
  }

  Napi::Value AddState(const Napi::CallbackInfo& info) {
    return Guard(info, [&](Napi::Env env) -> Napi::Value {
      CheckIdle();
      const int64_t bytes = ToInt(info[0], "bytes");
      if (bytes < 0) Bad("bytes of 0 or more");
      const size_t index = session_->AddState(static_cast<size_t>(bytes));
      return Napi::Number::New(env, static_cast<double>(index));
    });
  }

  // (state index, first number, array, write: boolean)
  Napi::Value CopyState(const Napi::CallbackInfo& info) {
    return Guard(info, [&](Napi::Env env) -> Napi::Value {
      CheckIdle();
      const StateMemory state = session_->state(static_cast<size_t>(ToInt(info[0], "a state")));
      const int64_t begin = ToInt(info[1], "the first number");
      const auto [data, bytes] = ToMemory(info[2]);
      if (info[2].As<Napi::TypedArray>().TypedArrayType() != napi_float32_array)
        Bad("an array of f32");
      const size_t first = static_cast<size_t>(begin) * sizeof(float);
      if (begin < 0 || first > state.bytes || bytes > state.bytes - first)
        Bad("numbers within the state");
      if (info[3].ToBoolean()) {
        std::memcpy(state.data + first, data, bytes);
      } else {
        std::memcpy(data, state.data + first, bytes);
      }
      return env.Undefined();
    });
  }

  // (plan, parameter indices, state indices) → plan index
  Napi::Value AddPlan(const Napi::CallbackInfo& info) {
    return Guard(info, [&](Napi::Env env) -> Napi::Value {
      CheckIdle();
      if (!info[0].IsObject()) Bad("a plan");
      const size_t index = session_->AddPlan(ToPlan(info[0].ToObject()),
                                             ToInts<size_t>(info[1], "parameter indices"),
                                             ToInts<size_t>(info[2], "state indices"));
      // Parameters and states are complete.
      Report(env, static_cast<int64_t>(session_->bytes()));
      return Napi::Number::New(env, static_cast<double>(index));
    });
  }

  // (plan index, sizes of the slots, inputs, outputs, burst?, on_progress?) → promise
  Napi::Value Run(const Napi::CallbackInfo& info) {
    return Guard(info, [&](Napi::Env env) -> Napi::Value {
      CheckIdle();
      RunRequest request{};
      request.plan = &session_->plan(static_cast<size_t>(ToInt(info[0], "a plan index")));
      request.slots = ToInts<int64_t>(info[1], "slot sizes");
      const Napi::Array inputs = ToArray(info[2], "inputs"), outputs = ToArray(info[3], "outputs");
      for (uint32_t i = 0; i < inputs.Length(); ++i) {
        const auto [data, bytes] = ToMemory(inputs[i]);
        request.inputs.emplace_back(data, data + bytes);
      }
      std::vector<Napi::Reference<Napi::Value>> kept;
      for (uint32_t i = 0; i < outputs.Length(); ++i) {
        const Napi::Value array = outputs[i];
        request.outputs.push_back(ToMemory(array));
        kept.push_back(Napi::Reference<Napi::Value>::New(array, 1));
      }
      Napi::FunctionReference on_progress;
      if (info[4].IsObject()) {
        request.burst = ToBurst(info[4].ToObject());
        on_progress = Napi::Persistent(info[5].As<Napi::Function>());
      }
      return Submit(env, std::move(kept), std::move(on_progress),
                    [&](std::unique_ptr<Completion> done) {
                      Session::Run(session_, std::move(request), std::move(done));
                    });
    });
  }

  Napi::Value Cancel(const Napi::CallbackInfo& info) {
    session_->Cancel();
    return info.Env().Undefined();
  }

  Napi::Value EndBurst(const Napi::CallbackInfo& info) {
    session_->EndBurst();
    return info.Env().Undefined();
  }

  Napi::Value Dispose(const Napi::CallbackInfo& info) {
    return Guard(info, [&](Napi::Env env) -> Napi::Value {
      CheckIdle();
      Report(env, 0);
      return Submit(env, {}, {}, [&](std::unique_ptr<Completion> done) {
        Session::Dispose(session_, std::move(done));
      });
    });
  }

  // While a job is under way, the figure of before.
  Napi::Value Bytes(const Napi::CallbackInfo& info) {
    if (!session_->busy()) Report(info.Env(), static_cast<int64_t>(session_->bytes()));
    return Napi::Number::New(info.Env(), static_cast<double>(bytes_));
  }

  Napi::Value Isa(const Napi::CallbackInfo& info) {
    return Napi::String::New(info.Env(), session_->kernels().isa);
  }

  void CheckIdle() const {
    if (session_->busy())
      throw EngineError(ErrorCode::kInternal, "session: a job is under way already");
  }

  // Tells V8 how much memory hangs on this object, so that a model that was dropped and not disposed is collected in time. Of a
  // large one it hears a part: told of gigabytes at once, V8 collects all garbage on the spot (50 ms with a heap of 9 MB).
  void Report(Napi::Env env, int64_t bytes) {
    constexpr int64_t kMost = int64_t{256} << 20;
    const int64_t told = std::min(bytes, kMost);
    Napi::MemoryManagement::AdjustExternalMemory(env, told - told_);
    told_ = told;
    bytes_ = bytes;
  }

  std::shared_ptr<Session> session_;
  int64_t bytes_ = 0;  // as of the last report
  int64_t told_ = 0;   // to V8
};

// What V8 counts of memory outside its heap, for which it has no other window.
Napi::Value ExternalBytes(const Napi::CallbackInfo& info) {
  const int64_t bytes = Napi::MemoryManagement::AdjustExternalMemory(info.Env(), 0);
  return Napi::Number::New(info.Env(), static_cast<double>(bytes));
}

// Sizes of arrays, small enough that products of any two fit.
int64_t ToSize(const Napi::Object& o, const char* name) {
  const int64_t size = ToInt(o.Get(name), name);
  if (size < 0 || size > INT32_MAX) Bad(std::string(name) + " from 0 to 2^31 - 1");
  return size;
}

// The numbers of a typed array of so many elements.
template <class T>
T* ToNumbers(const Napi::Object& o, const char* name, int64_t count) {
  const auto [data, bytes] = ToMemory(o.Get(name));
  if (count > (int64_t{1} << 50) || bytes != static_cast<size_t>(count) * sizeof(T))
    Bad(std::to_string(count) + " elements in " + name);
  return reinterpret_cast<T*>(data);
}

// (isa, threads, operands and result)
Napi::Value Int8Gemm(const Napi::CallbackInfo& info) {
  return Guard(info, [&](Napi::Env env) {
    if (!info[2].IsObject()) Bad("operands");
    const Napi::Object o = info[2].As<Napi::Object>();
    DirectInt8Gemm g{};
    g.m = ToSize(o, "m");
    g.n = ToSize(o, "n");
    g.k = ToSize(o, "k");
    g.group = ToSize(o, "groupSize");
    if (g.group < 1 || std::min(g.group, g.k) > kMaxDirectGroup) Bad("a groupSize that is smaller");
    const int64_t groups = (g.k + g.group - 1) / g.group;
    g.a = ToNumbers<int8_t>(o, "a", g.m * g.k);
    g.b = ToNumbers<int8_t>(o, "b", g.n * g.k);
    g.a_scale = ToNumbers<float>(o, "aScale", g.m);
    g.b_scale = ToNumbers<float>(o, "bScale", g.n * groups);
    g.y = ToNumbers<float>(o, "y", g.m * g.n);
    RunDirect(ToKernels(info[0]), ToThreads(info[1]), g);
    return env.Undefined();
  });
}

// (isa, threads, operands and result)
Napi::Value Attention(const Napi::CallbackInfo& info) {
  return Guard(info, [&](Napi::Env env) {
    if (!info[2].IsObject()) Bad("operands");
    const Napi::Object o = info[2].As<Napi::Object>();
    DirectAttention a{};
    a.rows = ToSize(o, "rows");
    a.keys = ToSize(o, "keys");
    a.heads = ToSize(o, "heads");
    a.kv_heads = ToSize(o, "kvHeads");
    a.head_dim = ToSize(o, "headDim");
    a.window = ToSize(o, "window");
    a.causal = o.Get("causal").ToBoolean();
    if (a.kv_heads < 1 || a.head_dim < 1 || a.heads < 1 || a.heads % a.kv_heads != 0)
      Bad("heads that are a multiple of kvHeads");
    const int64_t most = int64_t{1} << 31, width = a.heads * a.head_dim;
    if (width >= most) Bad("rows of less than 2^31 numbers");
    a.q = ToNumbers<float>(o, "q", a.rows * width);
    a.k = ToNumbers<float>(o, "k", a.keys * a.kv_heads * a.head_dim);
    a.v = ToNumbers<float>(o, "v", a.keys * a.kv_heads * a.head_dim);
    a.y = ToNumbers<float>(o, "y", a.rows * width);
    RunDirect(ToKernels(info[0]), ToThreads(info[1]), a);
    return env.Undefined();
  });
}

Napi::Value SetErrorFactory(const Napi::CallbackInfo& info) {
  if (info[0].IsFunction())
    Environment::Of(info.Env()).SetErrorFactory(info[0].As<Napi::Function>());
  return info.Env().Undefined();
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  Environment::Attach(env);
  const char* names[8];
  const int count = AvailableIsas(names);
  Napi::Array isas = Napi::Array::New(env);
  for (int i = 0; i < count; ++i)
    isas.Set(static_cast<uint32_t>(i), Napi::String::New(env, names[i]));
  exports.Set("version", TRIGA_VERSION);
  exports.Set("isas", isas);
  exports.Set("defaultThreads", Napi::Number::New(env, DefaultThreads()));
  exports.Set("setErrorFactory", Napi::Function::New(env, SetErrorFactory));
  exports.Set("externalBytes", Napi::Function::New(env, ExternalBytes));
  exports.Set("int8Gemm", Napi::Function::New(env, Int8Gemm));
  exports.Set("attention", Napi::Function::New(env, Attention));
  exports.Set("Session", SessionWrap::Define(env));
  exports.Set("BpeEncoder", DefineBpeEncoder(env));
  exports.Set("BpeTrainer", DefineBpeTrainer(env));
  return exports;
}

}  // namespace
}  // namespace triga

static Napi::Object InitTriga(Napi::Env env, Napi::Object exports) {
  return triga::Init(env, exports);
}
NODE_API_MODULE(NODE_GYP_MODULE_NAME, InitTriga)
