// Checks every kernel of every level that this CPU can run: against float64, and bit for bit
// wherever kernel.h promises that rows, tiles and chunks do not matter. Buffers have exactly the
// size they need, so run it under --sanitize too. Here: the harness, and what runs the families.
// Build and run: node scripts/build_native_tests.mjs --run
#include "test/native/kernels_harness.h"

#include <cstdio>

namespace triga {
#ifdef TRIGA_EMULATED_TABLE
extern const CpuKernels TRIGA_EMULATED_TABLE;
#endif
}  // namespace triga

namespace triga::test {

void Check(bool ok, const std::string& what) {
  if (ok) return;
  if (++failures <= 40) std::printf("FAIL %s: %s\n", where.c_str(), what.c_str());
}

void CheckClose(const vector<float>& got, const vector<double>& want, double rel, double abs,
                const std::string& what) {
  double worst = 0;
  size_t at = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    double excess;
    if (std::isnan(want[i]) || std::isinf(want[i])) {
      const bool same = std::isnan(want[i]) ? std::isnan(got[i]) : got[i] == want[i];
      excess = same ? 0 : 1e30;
    } else {
      const double error = std::fabs(got[i] - want[i]);
      excess = error == 0 ? 0 : error / (abs + rel * std::fabs(want[i]));
      if (!(excess >= 0)) excess = 1e30;
    }
    if (excess > worst) worst = excess, at = i;
  }
  char text[200];
  if (worst > 1) {
    std::snprintf(text, sizeof text, "element %zu is %.9g, not %.9g (%.1f times the tolerance)", at,
                  static_cast<double>(got[at]), want[at], worst);
    Check(false, what + ": " + text);
  }
}

namespace {
uint64_t state = 88172645463325252ull;
}  // namespace

uint64_t Random() {
  state ^= state << 13;
  state ^= state >> 7;
  return state ^= state << 17;
}

uint16_t ToBF16(float x) {
  const uint32_t u = Bits(x);
  if (std::isnan(x)) return static_cast<uint16_t>(u >> 16 | 0x40);
  return static_cast<uint16_t>((u + 0x7fff + (u >> 16 & 1)) >> 16);
}
float FromF16(uint16_t h) {
  const int e = h >> 10 & 31, m = h & 1023;
  const float sign = h & 0x8000 ? -1.0f : 1.0f;
  if (e == 31) return m ? std::numeric_limits<float>::quiet_NaN() : sign * INFINITY;
  return sign * (e ? std::ldexp(1024.0f + static_cast<float>(m), e - 25)
                   : std::ldexp(static_cast<float>(m), -24));
}
uint16_t ToF16(float x) {
  if (std::isnan(x)) return 0x7e00;
  uint16_t best = 0;  // by search over the ordered magnitudes
  const float a = std::fabs(x);
  int lo = 0, hi = 0x7c00;
  while (hi - lo > 1) {
    const int mid = (lo + hi) / 2;
    (FromF16(static_cast<uint16_t>(mid)) <= a ? lo : hi) = mid;
  }
  const double below = FromF16(static_cast<uint16_t>(lo));
  const double above = hi == 0x7c00 ? 65536.0 : FromF16(static_cast<uint16_t>(hi));
  const double middle = (below + above) / 2;
  best = static_cast<uint16_t>(a < middle || (a == middle && lo % 2 == 0) ? lo : hi);
  if (std::isinf(x)) best = 0x7c00;
  return static_cast<uint16_t>(best | (std::signbit(x) ? 0x8000 : 0));
}

Scratch::Scratch(size_t bytes)
    : bytes_(bytes),
      memory_(static_cast<char*>(std::aligned_alloc(64, (bytes + kGuard + 63) / 64 * 64))) {
  for (size_t i = 0; i < kGuard; ++i) memory_[bytes_ + i] = Pattern(i);
  ASAN_POISON_MEMORY_REGION(memory_ + bytes_, kGuard);
}

Scratch::~Scratch() {
  ASAN_UNPOISON_MEMORY_REGION(memory_ + bytes_, kGuard);
  std::free(memory_);
}

void* Scratch::Fill() {
  std::memset(memory_, 0xff, bytes_);
  return memory_;
}

void Scratch::CheckGuard() {
  ASAN_UNPOISON_MEMORY_REGION(memory_ + bytes_, kGuard);
  size_t i = 0;
  while (i < kGuard && memory_[bytes_ + i] == Pattern(i)) ++i;
  if (i < kGuard)
    Check(false, "writes behind its scratch memory of " + std::to_string(bytes_) +
                     " bytes, at byte " + std::to_string(bytes_ + i));
  for (; i < kGuard; ++i) memory_[bytes_ + i] = Pattern(i);
  ASAN_POISON_MEMORY_REGION(memory_ + bytes_, kGuard);
}

namespace {

void TestLevel(const CpuKernels& k) {
  TestUnary(k);
  TestBinaryAndCopy(k);
  TestReduce(k);
  TestRowStats(k);
  TestToBF16(k);
  TestPack(k);
  TestEmbedding(k);
  TestLinear(k);
  TestInt8(k);
  TestNorm(k);
  TestPictures(k);
  TestGradients(k);
  TestRope(k);
  TestAttention(k);
  TestTraining(k);
  TestPeaks(k);
  std::printf("%s: %d failures so far\n", k.isa, failures);
}

}  // namespace
}  // namespace triga::test

// The levels named by the arguments, or all that run here.
int main(int argc, char** argv) {
  using namespace triga;
  using namespace triga::test;
  TestDispatch();
#ifdef TRIGA_EMULATED_TABLE
  (void)argc, (void)argv;
  TestLevel(TRIGA_EMULATED_TABLE);
#else
  const char* names[8];
  const int count = AvailableIsas(names);
  where = "dispatch";
  Check(count > 0 && SelectKernels(nullptr) == SelectKernels(names[0]),
        "the best level comes first");
  Check(SelectKernels("none such") == nullptr, "an unknown level");
  Check(std::strcmp(names[count - 1], "scalar") == 0, "scalar is always there");
  vector<std::string> levels(argv + 1, argv + argc);
  if (levels.empty()) levels.assign(names, names + count);
  for (const std::string& level : levels) {
    const CpuKernels* kernels = SelectKernels(level.c_str());
    Check(kernels, level + " does not run here");
    if (kernels) TestLevel(*kernels);
  }
#endif
  return failures ? 1 : 0;
}
