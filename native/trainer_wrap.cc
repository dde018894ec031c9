#include "native/trainer_wrap.h"

#include <algorithm>
#include <array>
#include <memory>
#include <utility>
#include <vector>

#include "native/bpe_trainer.h"
#include "native/convert.h"

namespace triga {
namespace {

class BpeTrainerWrap : public Napi::ObjectWrap<BpeTrainerWrap> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "BpeTrainer",
                       {InstanceMethod<&BpeTrainerWrap::Count>("count"),
                        InstanceMethod<&BpeTrainerWrap::Learn>("learn"),
                        InstanceMethod<&BpeTrainerWrap::Cancel>("cancel"),
                        InstanceAccessor<&BpeTrainerWrap::Merges>("merges"),
                        InstanceAccessor<&BpeTrainerWrap::Words>("words"),
                        InstanceAccessor<&BpeTrainerWrap::LongWords>("longWords")});
  }

  // (threads, alphabet: Uint8Array(256), the byte of each symbol)
  explicit BpeTrainerWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<BpeTrainerWrap>(info) {
    Guard(info, [&](Napi::Env env) -> Napi::Value {
      const auto [data, bytes] = ToMemory(info[1]);
      std::array<uint8_t, 256> alphabet, sorted;
      if (bytes != alphabet.size()) Bad("an alphabet of 256 bytes");
      std::copy(data, data + bytes, alphabet.begin());
      sorted = alphabet;
      std::sort(sorted.begin(), sorted.end());
      for (size_t i = 0; i < sorted.size(); ++i) {
        if (sorted[i] != i) Bad("an alphabet that has each byte once");
      }
      trainer_ = std::make_shared<BpeTrainer>(ToThreads(info[0]), alphabet);
      Environment::Of(env).Register(trainer_);
      return env.Undefined();
    });
  }

 private:
  // (texts: Uint8Array, ends: Uint32Array) → promise
  Napi::Value Count(const Napi::CallbackInfo& info) {
    return Guard(info, [&](Napi::Env env) -> Napi::Value {
      CheckIdle();
      const auto [data, bytes] = ToMemory(info[0]);
      if (!info[1].IsTypedArray() ||
          info[1].As<Napi::TypedArray>().TypedArrayType() != napi_uint32_array)
        Bad("ends as Uint32Array");
      const Napi::Uint32Array list = info[1].As<Napi::Uint32Array>();
      const std::vector<size_t> ends(list.Data(), list.Data() + list.ElementLength());
      std::vector<uint8_t> texts(data, data + bytes);
      return Submit(env, {}, {}, [&](std::unique_ptr<Completion> done) {
        BpeTrainer::Count(trainer_, std::move(texts), ends, std::move(done));
      });
    });
  }

  // (symbols, least count, on_progress) → promise
  Napi::Value Learn(const Napi::CallbackInfo& info) {
    return Guard(info, [&](Napi::Env env) -> Napi::Value {
      CheckIdle();
      const int64_t symbols = ToInt(info[0], "symbols"), least = ToInt(info[1], "a least count");
      if (symbols < 256 || symbols > INT32_MAX) Bad("256 to 2^31 - 1 symbols");
      if (least < 1) Bad("a least count of 1 or more");
      if (!info[2].IsFunction()) Bad("a function that hears of progress");
      return Submit(env, {}, Napi::Persistent(info[2].As<Napi::Function>()),
                    [&](std::unique_ptr<Completion> done) {
                      BpeTrainer::Learn(trainer_, symbols, static_cast<uint64_t>(least),
                                        std::move(done));
                    });
    });
  }

  Napi::Value Cancel(const Napi::CallbackInfo& info) {
    trainer_->Cancel();
    return info.Env().Undefined();
  }

  // Int32Array [merges, 3]: left, right, id.
  Napi::Value Merges(const Napi::CallbackInfo& info) {
    return Guard(info, [&](Napi::Env env) -> Napi::Value {
      CheckIdle();
      const std::vector<Merge>& merges = trainer_->merges();
      Napi::Int32Array out = Napi::Int32Array::New(env, 3 * merges.size());
      int32_t* p = out.Data();
      for (const Merge& m : merges) {
        *p++ = m.left;
        *p++ = m.right;
        *p++ = m.id;
      }
      return out;
    });
  }

  Napi::Value Words(const Napi::CallbackInfo& info) {
    return Guard(info, [&](Napi::Env env) -> Napi::Value {
      CheckIdle();
      return Napi::Number::New(env, static_cast<double>(trainer_->words()));
    });
  }

  Napi::Value LongWords(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), static_cast<double>(trainer_->long_words()));
  }

  void CheckIdle() const {
    if (trainer_->busy())
      throw EngineError(ErrorCode::kInternal, "trainer: a job is under way already");
  }

  std::shared_ptr<BpeTrainer> trainer_;
};

}  // namespace

Napi::Function DefineBpeTrainer(Napi::Env env) { return BpeTrainerWrap::Define(env); }

}  // namespace triga
