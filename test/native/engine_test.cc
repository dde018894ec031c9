// Tests of the engine as it is below N-API: the thread pool, and sessions that run small plans on it. Its threads meet at atomics
// and locks only, which a thread sanitizer can judge here and could not inside node, whose own code it does not see.
// Build and run: node scripts/build_native_tests.mjs --run, with --sanitize or --tsan
#include "test/native/engine_harness.h"

#include <atomic>
#include <cstdio>
#include <thread>

namespace triga::test {

namespace {
std::atomic<int> failures{0};
}  // namespace

void Check(bool ok, const std::string& what) {
  if (ok) return;
  if (++failures <= 40) std::printf("FAIL %s\n", what.c_str());
}

void Pause(Random& random, int microseconds) {
  std::this_thread::sleep_for(std::chrono::microseconds(random.Below(microseconds)));
}

}  // namespace triga::test

int main() {
  using namespace triga::test;
  TestPool();
  std::printf("pool: %d failures so far\n", failures.load());
  TestSession();
  std::printf("sessions: %d failures so far\n", failures.load());
  TestBurst();
  std::printf("bursts: %d failures so far\n", failures.load());
  TestBpe();
  std::printf("byte pair encoding: %d failures so far\n", failures.load());
  std::fflush(stdout);
  return failures.load() ? 1 : 0;
}
