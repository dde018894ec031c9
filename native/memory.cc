#include "native/memory.h"

#include <cstdlib>
#include <cstring>
#include <string>

#include "native/error.h"
#ifdef __GLIBC__
#include <malloc.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <sys/mman.h>
#define TRIGA_MMAP 1
#endif

namespace triga {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kAlignment = 64;

[[noreturn]] void Fail(size_t bytes) {
  throw EngineError(ErrorCode::kOutOfMemory, "cannot allocate " + std::to_string(bytes >> 20) +
                                                 " MiB: the system has no more memory to give");
}

}  // namespace

Memory::Memory(size_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  if (bytes > SIZE_MAX - 2 * kHugePage) Fail(bytes);
#ifdef TRIGA_MMAP
  if (bytes >= kHugePage) {
    // One huge page more than needed, so that an aligned stretch lies inside; what is cut off goes back.
    const size_t rounded = (bytes + kHugePage - 1) / kHugePage * kHugePage;
    void* raw = mmap(nullptr, rounded + kHugePage, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (raw == MAP_FAILED) Fail(bytes);
    char* begin = static_cast<char*>(raw);
    const size_t skip = (kHugePage - reinterpret_cast<uintptr_t>(begin) % kHugePage) % kHugePage;
    if (skip) munmap(begin, skip);
    if (skip < kHugePage) munmap(begin + skip + rounded, kHugePage - skip);
    data_ = begin + skip;
    mapped_ = rounded;
#ifdef MADV_HUGEPAGE
    madvise(data_, mapped_, MADV_HUGEPAGE);
#endif
    return;
  }
#endif
  const size_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
#ifdef _WIN32
  data_ = static_cast<char*>(_aligned_malloc(rounded, kAlignment));
#else
  data_ = static_cast<char*>(std::aligned_alloc(kAlignment, rounded));
#endif
  if (!data_) Fail(bytes);
  std::memset(data_, 0, rounded);
}

Memory::~Memory() {
  if (!data_) return;
#ifdef TRIGA_MMAP
  if (mapped_) {
    munmap(data_, mapped_);
    return;
  }
#endif
#ifdef _WIN32
  _aligned_free(data_);
#else
  std::free(data_);
#endif
}

void ReturnFreeMemory() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

}  // namespace triga
