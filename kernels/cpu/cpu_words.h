// What a processor, and the operating system that saves its registers, say of themselves, and which
// level may run there. Pure functions of those words, for every architecture, so that a test can
// put any processor in front of them.
#pragma once
#include <cstdint>

namespace triga {

// 0 is what a processor says that has no such leaf.
struct X64Words {
  uint32_t leaf1_ecx;      // CPUID 1
  uint32_t leaf7_ebx;      // CPUID 7, subleaf 0
  uint32_t leaf7_ecx;      //
  uint32_t leaf7_edx;      //
  uint32_t leaf7_1_eax;    // CPUID 7, subleaf 1
  uint32_t xcr0;           // XGETBV 0, where CPUID says OSXSAVE: registers that are saved
  uint32_t tiles_granted;  // 1: the operating system lets this process use the matrix tiles
};

// Linux's AT_HWCAP and AT_HWCAP2.
struct Arm64Words {
  uint64_t hwcap, hwcap2;
};

constexpr bool has_bit(uint64_t word, int i) { return (word >> i & 1) != 0; }

// Bits as in Intel's and AMD's manuals on CPUID.
constexpr bool runs_avx2(const X64Words& w) {
  const bool fma = has_bit(w.leaf1_ecx, 12), osxsave = has_bit(w.leaf1_ecx, 27),
             avx = has_bit(w.leaf1_ecx, 28), f16c = has_bit(w.leaf1_ecx, 29);
  const bool ymm_saved = osxsave && (w.xcr0 & 0x06) == 0x06;
  return ymm_saved && avx && fma && f16c && has_bit(w.leaf7_ebx, 5);
}
constexpr bool runs_avx512(const X64Words& w) {
  const bool zmm_saved = (w.xcr0 & 0xe6) == 0xe6;
  const bool f = has_bit(w.leaf7_ebx, 16), dq = has_bit(w.leaf7_ebx, 17),
             bw = has_bit(w.leaf7_ebx, 30), vl = has_bit(w.leaf7_ebx, 31);
  return runs_avx2(w) && zmm_saved && f && dq && bw && vl;
}
constexpr bool runs_avx512_vnni(const X64Words& w) {
  return runs_avx512(w) && has_bit(w.leaf7_ecx, 11);
}
constexpr bool runs_avx512_bf16(const X64Words& w) {
  return runs_avx512_vnni(w) && has_bit(w.leaf7_1_eax, 5);
}
// Whether it makes sense to ask for the tiles.
constexpr bool has_tiles(const X64Words& w) {
  const bool bf16 = has_bit(w.leaf7_edx, 22), tile = has_bit(w.leaf7_edx, 24),
             int8 = has_bit(w.leaf7_edx, 25);
  const bool tiles_saved = (w.xcr0 >> 17 & 3) == 3;
  return runs_avx512_bf16(w) && tiles_saved && tile && bf16 && int8;
}
constexpr bool runs_avx512_amx(const X64Words& w) {
  return has_tiles(w) && has_bit(w.tiles_granted, 0);
}

// Bits as in Linux's asm/hwcap.h: ASIMD, ASIMDDP, I8MM.
constexpr bool runs_neon(const Arm64Words& w) { return has_bit(w.hwcap, 1); }
constexpr bool runs_neon_dotprod(const Arm64Words& w) {
  return runs_neon(w) && has_bit(w.hwcap, 20);
}
constexpr bool runs_neon_i8mm(const Arm64Words& w) {
  return runs_neon_dotprod(w) && has_bit(w.hwcap2, 13);
}

}  // namespace triga
