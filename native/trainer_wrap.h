// BpeTrainer as JavaScript has it.
#pragma once
#include <napi.h>

namespace triga {

Napi::Function DefineBpeTrainer(Napi::Env env);

}  // namespace triga
