#include "native/bpe_wrap.h"

#include <napi.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>
#include <vector>

#include "native/bpe_encoder.h"
#include "native/bpe_trainer.h"
#include "native/convert.h"

namespace triga {
namespace {

template <class Array>
Array ToWords(const Napi::Value& v, napi_typedarray_type type) {
  if (!v.IsTypedArray() || v.As<Napi::TypedArray>().TypedArrayType() != type)
    Bad("an array of 32-bit integers");
  return v.As<Array>();
}

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
      const auto list = ToWords<Napi::Uint32Array>(info[1], napi_uint32_array);
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

class BpeEncoderWrap : public Napi::ObjectWrap<BpeEncoderWrap> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "BpeEncoder", {InstanceMethod<&BpeEncoderWrap::Encode>("encode")});
  }

  // (ids of the 256 bytes: Int32Array, merges: Int32Array [merges, 3])
  explicit BpeEncoderWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<BpeEncoderWrap>(info) {
    Guard(info, [&](Napi::Env env) -> Napi::Value {
      const auto list = ToWords<Napi::Int32Array>(info[0], napi_int32_array);
      const auto triples = ToWords<Napi::Int32Array>(info[1], napi_int32_array);
      std::array<int32_t, 256> bytes;
      if (list.ElementLength() != bytes.size()) Bad("ids of 256 bytes");
      if (triples.ElementLength() % 3 != 0) Bad("merges of three numbers");
      std::copy(list.Data(), list.Data() + bytes.size(), bytes.begin());
      std::vector<Merge> merges(triples.ElementLength() / 3);
      for (size_t i = 0; i < merges.size(); ++i) {
        const int32_t* m = triples.Data() + 3 * i;
        merges[i] = {m[0], m[1], m[2]};
      }
      encoder_ = std::make_unique<BpeEncoder>(bytes, merges);
      return env.Undefined();
    });
  }

 private:
  // (texts: Uint8Array, ends: Uint32Array, what follows each text) → Int32Array; `ends` become those of the ids. At once.
  Napi::Value Encode(const Napi::CallbackInfo& info) {
    return Guard(info, [&](Napi::Env env) -> Napi::Value {
      const auto [data, bytes] = ToMemory(info[0]);
      auto ends = ToWords<Napi::Uint32Array>(info[1], napi_uint32_array);
      const int64_t end_of_text = ToInt(info[2], "an id");
      if (end_of_text < 0 || end_of_text > INT32_MAX) Bad("an id from 0 to 2^31 - 1");
      std::vector<int32_t> ids;
      ids.reserve(bytes / 3);
      size_t begin = 0;
      for (size_t i = 0; i < ends.ElementLength(); ++i) {
        const size_t end = ends[i];
        if (end < begin || end > bytes) Bad("texts that end within their bytes");
        encoder_->Encode({data + begin, end - begin}, ids);
        ids.push_back(static_cast<int32_t>(end_of_text));
        ends[i] = static_cast<uint32_t>(ids.size());
        begin = end;
      }
      Napi::Int32Array out = Napi::Int32Array::New(env, ids.size());
      std::copy(ids.begin(), ids.end(), out.Data());
      return out;
    });
  }

  std::unique_ptr<BpeEncoder> encoder_;
};

}  // namespace

Napi::Function DefineBpeTrainer(Napi::Env env) { return BpeTrainerWrap::Define(env); }
Napi::Function DefineBpeEncoder(Napi::Env env) { return BpeEncoderWrap::Define(env); }

}  // namespace triga
