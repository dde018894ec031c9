// Which levels a processor may run: what each bit of its words is worth, all others being set.
#include <string>

#include "kernels/cpu/cpu_words.h"
#include "test/native/kernels_harness.h"

namespace triga::test {

namespace {

int Count(const vector<bool>& runs) {
  for (size_t i = 1; i < runs.size(); ++i)
    Check(runs[i - 1] || !runs[i], "a level without the one below");
  return static_cast<int>(std::count(runs.begin(), runs.end(), true));
}

// How many levels above scalar run; each needs all that the one before needs.
int Levels(const X64Words& w) {
  return Count(
      {runs_avx2(w), runs_avx512(w), runs_avx512_vnni(w), runs_avx512_bf16(w), runs_avx512_amx(w)});
}
int Levels(const Arm64Words& w) {
  return Count({runs_neon(w), runs_neon_dotprod(w), runs_neon_i8mm(w)});
}

template <class Words, class Word>
struct Need {
  Word Words::* word;
  int bit;
  int left;  // levels that run without it
};

// Every single bit that is missing from `all`, and `needs` alone. `levels` run with all bits.
template <class Words, class Word, size_t kNeeds>
void TestBits(int levels, Words all, const vector<Word Words::*>& words,
              const Need<Words, Word> (&needs)[kNeeds]) {
  Check(Levels(all) == levels, "every bit is set");
  Check(Levels(Words{}) == 0, "no bit is set");
  for (size_t i = 0; i < words.size(); ++i) {
    for (int bit = 0; bit < static_cast<int>(sizeof(Word)) * 8; ++bit) {
      Words some = all;
      some.*words[i] &= ~(Word{1} << bit);
      int want = levels;
      for (const auto& need : needs)
        if (need.word == words[i] && need.bit == bit) want = need.left;
      Check(Levels(some) == want, "without bit " + std::to_string(bit) + " of word " +
                                      std::to_string(i) + ": " + std::to_string(Levels(some)) +
                                      " levels, not " + std::to_string(want));
    }
  }
  Words bare = {};
  for (const auto& need : needs) bare.*need.word |= Word{1} << need.bit;
  Check(Levels(bare) == levels, "what the levels need is enough");
}

}  // namespace

void TestDispatch() {
  where = "dispatch x64";
  using X64 = X64Words;
  const Need<X64, uint32_t> x64[] = {
      {&X64::leaf1_ecx, 12, 0},   // FMA
      {&X64::leaf1_ecx, 27, 0},   // OSXSAVE
      {&X64::leaf1_ecx, 28, 0},   // AVX
      {&X64::leaf1_ecx, 29, 0},   // F16C
      {&X64::leaf7_ebx, 5, 0},    // AVX2
      {&X64::leaf7_ebx, 16, 1},   // AVX512F
      {&X64::leaf7_ebx, 17, 1},   // AVX512DQ
      {&X64::leaf7_ebx, 30, 1},   // AVX512BW
      {&X64::leaf7_ebx, 31, 1},   // AVX512VL
      {&X64::leaf7_ecx, 11, 2},   // AVX512_VNNI
      {&X64::leaf7_1_eax, 5, 3},  // AVX512_BF16
      {&X64::leaf7_edx, 22, 4},   // AMX-BF16
      {&X64::leaf7_edx, 24, 4},   // AMX-TILE
      {&X64::leaf7_edx, 25, 4},   // AMX-INT8
      {&X64::xcr0, 1, 0},         // xmm
      {&X64::xcr0, 2, 0},         // the upper halves of ymm
      {&X64::xcr0, 5, 1},         // mask registers
      {&X64::xcr0, 6, 1},         // the upper halves of zmm0 to zmm15
      {&X64::xcr0, 7, 1},         // zmm16 to zmm31
      {&X64::xcr0, 17, 4},        // the tiles' configuration
      {&X64::xcr0, 18, 4},        // the tiles
      {&X64::tiles_granted, 0, 4},
  };
  TestBits(5, X64{~0u, ~0u, ~0u, ~0u, ~0u, ~0u, ~0u},
           {&X64::leaf1_ecx, &X64::leaf7_ebx, &X64::leaf7_ecx, &X64::leaf7_edx, &X64::leaf7_1_eax,
            &X64::xcr0, &X64::tiles_granted},
           x64);

  where = "dispatch arm64";
  using Arm64 = Arm64Words;
  const Need<Arm64, uint64_t> arm64[] = {
      {&Arm64::hwcap, 1, 0},    // ASIMD
      {&Arm64::hwcap, 20, 1},   // ASIMDDP
      {&Arm64::hwcap2, 13, 2},  // I8MM
  };
  TestBits(3, Arm64{~0ull, ~0ull}, {&Arm64::hwcap, &Arm64::hwcap2}, arm64);
}

}  // namespace triga::test
