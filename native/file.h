// Reading of checkpoint files: by pread, so that a file that is cut short is an error.
#pragma once
#include <cstdint>
#include <string>

namespace triga {

// Where numbers lie in a file.
struct FilePlace {
  std::string file;  // empty: in none
  int64_t offset = 0;
};

// Reads exactly `bytes` bytes from `begin` bytes past a place. Throws EngineError.
void ReadFully(const FilePlace& place, int64_t begin, char* out, int64_t bytes);

}  // namespace triga
