// Between JavaScript values and the engine's: conversions that check what they are given, and how failures and ends of jobs
// become exceptions and promises.
#pragma once
#include <napi.h>

#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "native/environment.h"
#include "native/error.h"

namespace triga {

// Runs `body`; what it throws becomes a JavaScript exception.
template <class Body>
Napi::Value Guard(const Napi::CallbackInfo& info, Body&& body) {
  const Napi::Env env = info.Env();
  const auto raise = [&](const char* code, const char* message) {
    napi_throw(env, Environment::Of(env).MakeError(env, code, message));
    return env.Undefined();
  };
  try {
    return body(env);
  } catch (const EngineError& e) {
    return raise(CodeName(e.code()), e.what());
  } catch (const std::bad_alloc&) {
    return raise(CodeName(ErrorCode::kOutOfMemory), "the system has no more memory to give");
  }
}

[[noreturn]] inline void Bad(const std::string& what) {
  throw EngineError(ErrorCode::kInternal, "binding: expected " + what);
}

inline double ToNumber(const Napi::Value& v, const char* what) {
  if (!v.IsNumber()) Bad(what);
  return v.As<Napi::Number>().DoubleValue();
}

inline int64_t ToInt(const Napi::Value& v, const char* what) {
  const double d = ToNumber(v, what);
  if (!(d >= -9007199254740991.0 && d <= 9007199254740991.0) ||
      d != static_cast<double>(static_cast<int64_t>(d)))
    Bad(what);
  return static_cast<int64_t>(d);
}

inline Napi::Array ToArray(const Napi::Value& v, const char* what) {
  if (!v.IsArray()) Bad(what);
  return v.As<Napi::Array>();
}

// Memory of a typed array that stays where it is while the array is referenced.
inline std::pair<char*, size_t> ToMemory(const Napi::Value& v) {
  if (!v.IsTypedArray()) Bad("a typed array");
  const Napi::TypedArray array = v.As<Napi::TypedArray>();
  return {static_cast<char*>(array.ArrayBuffer().Data()) + array.ByteOffset(), array.ByteLength()};
}

inline int ToThreads(const Napi::Value& v) {
  const int64_t threads = ToInt(v, "threads");
  if (threads < 1 || threads > 1024) Bad("1 to 1024 threads");
  return static_cast<int>(threads);
}

// Starts a job whose end settles the promise that is returned.
template <class Start>
Napi::Value Submit(Napi::Env env, std::vector<Napi::Reference<Napi::Value>> kept,
                   Napi::FunctionReference on_progress, Start&& start) {
  Napi::Promise promise(env, nullptr);
  try {
    start(Environment::Of(env).Expect(env, std::move(kept), std::move(on_progress), &promise));
  } catch (const std::exception&) {
    // The completion was dropped, and has rejected the promise.
  }
  return promise;
}

}  // namespace triga
