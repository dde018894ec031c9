// BpeTrainer and BpeEncoder as JavaScript has them.
#pragma once
#include <napi.h>

namespace triga {

Napi::Function DefineBpeTrainer(Napi::Env env);
Napi::Function DefineBpeEncoder(Napi::Env env);

}  // namespace triga
