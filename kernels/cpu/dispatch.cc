// Chooses the kernels that this CPU, and the operating system that saves its registers, can run.
#include <cstring>

#include "kernels/cpu/kernel.h"

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

namespace triga {

extern const CpuKernels kernels_scalar;
#if defined(__x86_64__)
extern const CpuKernels kernels_avx2, kernels_avx512, kernels_avx512_bf16, kernels_avx512_amx;
#elif defined(__aarch64__)
extern const CpuKernels kernels_neon;
#endif

namespace {

#if defined(__x86_64__)

struct Features {
  bool avx2 = false, avx512 = false, avx512_bf16 = false, amx = false;
};

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

// Bits as in Intel's and AMD's manuals on CPUID.
Features Detect() {
  Features f;
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return f;
  const auto bit = [](uint32_t word, int i) { return (word >> i & 1) != 0; };
  const bool fma = bit(c, 12), osxsave = bit(c, 27), avx = bit(c, 28), f16c = bit(c, 29);
  if (!osxsave) return f;
  const uint32_t saved = SavedRegisters();
  const bool ymm = (saved & 0x06) == 0x06, zmm = (saved & 0xe6) == 0xe6;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return f;
  const uint32_t subleaves = a;
  f.avx2 = ymm && avx && fma && f16c && bit(b, 5);
  // F, DQ, BW, VL
  f.avx512 = f.avx2 && zmm && bit(b, 16) && bit(b, 17) && bit(b, 30) && bit(b, 31);
  const bool vnni = bit(c, 11);
  // TILE, BF16, INT8
  const bool amx = bit(d, 24) && bit(d, 22) && bit(d, 25) && (saved >> 17 & 3) == 3;
  if (subleaves >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) {
    f.avx512_bf16 = f.avx512 && vnni && bit(a, 5);
  }
  f.amx = f.avx512_bf16 && amx && MayUseTiles();
  return f;
}

const Features& Cpu() {
  static const Features features = Detect();
  return features;
}

bool Always() { return true; }
bool HasAvx2() { return Cpu().avx2; }
bool HasAvx512() { return Cpu().avx512; }
bool HasAvx512Bf16() { return Cpu().avx512_bf16; }
bool HasAmx() { return Cpu().amx; }

struct Level {
  const CpuKernels* kernels;
  bool (*runs)();
};
constexpr Level kLevels[] = {
    {&kernels_avx512_amx, HasAmx}, {&kernels_avx512_bf16, HasAvx512Bf16},
    {&kernels_avx512, HasAvx512},  {&kernels_avx2, HasAvx2},
    {&kernels_scalar, Always},
};

#else

bool Always() { return true; }

struct Level {
  const CpuKernels* kernels;
  bool (*runs)();
};
constexpr Level kLevels[] = {
#if defined(__aarch64__)
    {&kernels_neon, Always},
#endif
    {&kernels_scalar, Always},
};

#endif

}  // namespace

int AvailableIsas(const char** names) {
  int count = 0;
  for (const Level& level : kLevels) {
    if (level.runs()) names[count++] = level.kernels->isa;
  }
  return count;
}

const CpuKernels* SelectKernels(const char* force) {
  for (const Level& level : kLevels) {
    if (!level.runs()) continue;
    if (!force || std::strcmp(force, level.kernels->isa) == 0) return level.kernels;
  }
  return nullptr;
}

}  // namespace triga
