// Failures of the engine. They cross from pool threads to JavaScript as data: a code of lib/errors.ts and a message.
#pragma once
#include <exception>
#include <string>
#include <utility>

namespace triga {

enum class ErrorCode {
  kModelFormat,
  kInvalidArgument,
  kOutOfMemory,
  kUnsupported,
  kAborted,
  kInternal
};

// The code's name in lib/errors.ts.
constexpr const char* CodeName(ErrorCode code) {
  switch (code) {
    case ErrorCode::kModelFormat:
      return "MODEL_FORMAT";
    case ErrorCode::kInvalidArgument:
      return "INVALID_ARGUMENT";
    case ErrorCode::kOutOfMemory:
      return "OUT_OF_MEMORY";
    case ErrorCode::kUnsupported:
      return "UNSUPPORTED";
    case ErrorCode::kAborted:
      return "ABORTED";
    case ErrorCode::kInternal:
      return "INTERNAL";
  }
  return "INTERNAL";
}

class EngineError : public std::exception {
 public:
  EngineError(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {}
  const char* what() const noexcept override { return message_.c_str(); }
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
  std::string message_;
};

}  // namespace triga
