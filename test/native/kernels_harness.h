// What the tests of kernels share: numbers at random, conversions, comparison, and a Run that hands a kernel its tiles and
// its scratch memory.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "kernels/cpu/kernel.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

namespace triga::test {

using std::vector;

void TestDispatch();
// One family of kernels at one level each; kernels_<family>_test.cc.
void TestUnary(const CpuKernels&);
void TestBinaryAndCopy(const CpuKernels&);
void TestToBF16(const CpuKernels&);
void TestReduce(const CpuKernels&);
void TestRowStats(const CpuKernels&);
void TestNorm(const CpuKernels&);
void TestPack(const CpuKernels&);
void TestEmbedding(const CpuKernels&);
void TestLinear(const CpuKernels&);
void TestInt8(const CpuKernels&);
void TestPictures(const CpuKernels&);
void TestGradients(const CpuKernels&);
void TestRope(const CpuKernels&);
void TestAttention(const CpuKernels&);
void TestTraining(const CpuKernels&);
void TestPeaks(const CpuKernels&);

inline int failures = 0;
inline std::string where;  // what is being tested

void Check(bool ok, const std::string& what);
void CheckClose(const vector<float>& got, const vector<double>& want, double rel, double abs,
                const std::string& what);

uint64_t Random();
inline float Uniform() { return static_cast<float>(Random() >> 40) / 8388608.0f - 1.0f; }
inline vector<float> Floats(size_t n) {
  vector<float> v(n);
  for (float& x : v) x = Uniform();
  return v;
}

inline uint32_t Bits(float x) {
  uint32_t u;
  std::memcpy(&u, &x, 4);
  return u;
}
inline float FromBits(uint32_t u) {
  float x;
  std::memcpy(&x, &u, 4);
  return x;
}
inline bool SameBits(const vector<float>& a, const vector<float>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * 4) == 0);
}

inline float FromBF16(uint16_t h) { return FromBits(static_cast<uint32_t>(h) << 16); }
uint16_t ToBF16(float x);
float FromF16(uint16_t h);
uint16_t ToF16(float x);

// Where to_bf16 puts x[r][c] of `rows` rows of `even` numbers.
inline size_t PlaceOfBF16(const CpuKernels& k, int64_t rows, int64_t even, int64_t r, int64_t c) {
  if (std::strcmp(k.isa, "avx512_amx") != 0) return static_cast<size_t>(r * even + c);
  const int64_t first = r / 16 * 16, height = std::min<int64_t>(16, rows - first),
                block = c / 32 * 32, width = std::min<int64_t>(32, even - block);
  return static_cast<size_t>(first * even + block * height + (r - first) * width + c - block);
}

inline double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// Scratch memory of exactly the size that a kernel asks for, and behind it a guard that it must leave alone. A sanitizer
// sees it being read, too.
class Scratch {
 public:
  explicit Scratch(size_t bytes);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  // Memory full of NaN.
  void* Fill();
  void CheckGuard();

 private:
  static constexpr size_t kGuard = 1024;
  static char Pattern(size_t i) { return static_cast<char>(0xa5 ^ (i * 7)); }

  size_t bytes_;
  char* memory_;
};

// All tiles at once, or one by one in random order, each with scratch memory full of NaN.
template <class Args>
void Run(const Kernel<Args>& kernel, const Args& args, bool shuffled = false) {
  const int64_t tiles = kernel.tiles(args);
  Scratch scratch(kernel.scratch ? kernel.scratch(args) : 0);
  const auto run = [&](int64_t begin, int64_t end) {
    kernel.run(args, begin, end, scratch.Fill());
    scratch.CheckGuard();
  };
  if (shuffled) {
    vector<int64_t> order(static_cast<size_t>(tiles));
    for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int64_t>(i);
    for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[Random() % i]);
    for (int64_t t : order) run(t, t + 1);
  } else if (tiles > 0) {
    run(0, tiles);
  }
}

}  // namespace triga::test
