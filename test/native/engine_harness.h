// What the tests of the engine below N-API share: checks that any thread may make, and numbers at random by a seed.
#pragma once
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>

namespace triga::test {

void TestPool();
void TestSession();
void TestBurst();
void TestBpe();

void Check(bool ok, const std::string& what);

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15ull + 1) {}
  uint64_t Next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    return state_ ^= state_ << 17;
  }
  int Below(int n) { return static_cast<int>(Next() % static_cast<uint64_t>(n)); }
  float Uniform() { return static_cast<float>(Next() >> 40) / 8388608.0f - 1.0f; }

 private:
  uint64_t state_;
};

// Sleeps for up to that many microseconds: long enough, now and then, that the pool's threads go to sleep.
void Pause(Random& random, int microseconds);

// Counts to a number that somebody waits for, but not forever.
class Counter {
 public:
  void Add() {
    std::lock_guard<std::mutex> lock(mutex_);
    ++count_;
    changed_.notify_all();
  }
  bool Await(int count) {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(60), [&] { return count_ >= count; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
};

}  // namespace triga::test
