// Chooses the kernels that this CPU, and the operating system that saves its registers, can run.
#include <cstring>

#include "kernels/cpu/cpu_words.h"
#include "kernels/cpu/kernel.h"

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace triga {

extern const CpuKernels kernels_scalar;
#if defined(__x86_64__)
extern const CpuKernels kernels_avx2, kernels_avx512, kernels_avx512_vnni, kernels_avx512_bf16,
    kernels_avx512_amx;
#elif defined(__aarch64__)
extern const CpuKernels kernels_neon, kernels_neon_dotprod, kernels_neon_i8mm;
#endif

namespace {

#if defined(__x86_64__)

using Words = X64Words;

// Only where CPUID says OSXSAVE.
uint32_t SavedRegisters() {
  uint32_t low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

// Linux gives a process the tiles' registers only if it asks (Documentation/arch/x86/xstate.rst: ARCH_REQ_XCOMP_PERM of the
// component XTILEDATA). The permission is for all its threads.
bool MayUseTiles() {
#if defined(__linux__)
  constexpr long kRequest = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
#else
  return false;
#endif
}

Words ReadWords() {
  Words w = {};
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return w;
  w.leaf1_ecx = c;
  if (has_bit(c, 27)) w.xcr0 = SavedRegisters();
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return w;
  w.leaf7_ebx = b;
  w.leaf7_ecx = c;
  w.leaf7_edx = d;
  const uint32_t subleaves = a;
  if (subleaves >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) w.leaf7_1_eax = a;
  if (has_tiles(w)) w.tiles_granted = MayUseTiles();
  return w;
}

#elif defined(__aarch64__)

using Words = Arm64Words;

Words ReadWords() {
#if defined(__linux__)
  return {getauxval(AT_HWCAP), getauxval(AT_HWCAP2)};
#else
  return {1 << 1, 0};  // aarch64 is never without ASIMD; nobody asks macOS or Windows for more yet
#endif
}

#else

struct Words {};
Words ReadWords() { return {}; }

#endif

bool Always(const Words&) { return true; }

struct Level {
  const CpuKernels* kernels;
  bool (*runs)(const Words&);
};
constexpr Level kLevels[] = {
#if defined(__x86_64__)
    {&kernels_avx512_amx, runs_avx512_amx},
    {&kernels_avx512_bf16, runs_avx512_bf16},
    {&kernels_avx512_vnni, runs_avx512_vnni},
    {&kernels_avx512, runs_avx512},
    {&kernels_avx2, runs_avx2},
#elif defined(__aarch64__)
    {&kernels_neon_i8mm, runs_neon_i8mm},
    {&kernels_neon_dotprod, runs_neon_dotprod},
    {&kernels_neon, runs_neon},
#endif
    {&kernels_scalar, Always},
};

bool Runs(const Level& level) {
  static const Words words = ReadWords();
  return level.runs(words);
}

}  // namespace

int AvailableIsas(const char** names) {
  int count = 0;
  for (const Level& level : kLevels) {
    if (Runs(level)) names[count++] = level.kernels->isa;
  }
  return count;
}

const CpuKernels* SelectKernels(const char* force) {
  for (const Level& level : kLevels) {
    if (!Runs(level)) continue;
    if (!force || std::strcmp(force, level.kernels->isa) == 0) return level.kernels;
  }
  return nullptr;
}

}  // namespace triga
