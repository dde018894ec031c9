// Owned memory for weights, caches and workspace: zeroed, aligned to huge pages where it is large, given back at once.
#pragma once
#include <cstddef>
#include <cstdint>
#include <utility>

namespace triga {

class Memory {
 public:
  Memory() = default;
  // Zeroed; the system gives pages as they are touched. Throws EngineError (out of memory).
  explicit Memory(size_t bytes);
  ~Memory();
  Memory(Memory&& other) noexcept { swap(other); }
  Memory& operator=(Memory&& other) noexcept {
    swap(other);
    return *this;
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  char* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  void swap(Memory& other) {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    std::swap(mapped_, other.mapped_);
  }

  char* data_ = nullptr;
  size_t bytes_ = 0;
  size_t mapped_ = 0;  // bytes of the mapping; 0: from the heap
};

// Gives back to the system what the C library keeps of freed memory: after a model has gone, much of it, in the arenas of threads
// that have ended. Takes milliseconds.
void ReturnFreeMemory();

}  // namespace triga
