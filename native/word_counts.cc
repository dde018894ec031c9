#include "native/word_counts.h"

#include <cstring>
#include <utility>

namespace triga {
namespace {

constexpr uint64_t kOdd = 0x9e3779b97f4a7c15u;  // 2^64 / golden ratio

}  // namespace

uint64_t HashOf(std::string_view word) {
  uint64_t h = word.size() * kOdd;
  const char* p = word.data();
  size_t left = word.size();
  while (left > 0) {
    uint64_t part = 0;
    const size_t bytes = left < 8 ? left : 8;
    std::memcpy(&part, p, bytes);
    h = (h ^ part) * kOdd;
    h ^= h >> 29;
    p += bytes;
    left -= bytes;
  }
  return h ^ h >> 32;
}

void WordCounts::Add(std::string_view word, uint64_t count) {
  if (2 * size_ >= entries_.size()) Grow();
  const uint64_t hash = HashOf(word);
  const size_t mask = entries_.size() - 1;
  size_t at = static_cast<size_t>(hash) & mask;
  for (; entries_[at].count != 0; at = (at + 1) & mask) {
    Entry& e = entries_[at];
    if (e.hash != hash || WordOf(e) != word) continue;
    e.count += count;
    return;
  }
  const size_t begin = bytes_.size();
  bytes_.insert(bytes_.end(), word.begin(), word.end());
  entries_[at] = {hash, count, begin, word.size()};
  ++size_;
}

void WordCounts::Add(const WordCounts& other) {
  for (const Entry& e : other.entries_) {
    if (e.count != 0) Add(other.WordOf(e), e.count);
  }
}

void WordCounts::Grow() {
  std::vector<Entry> old(entries_.empty() ? 1024 : 2 * entries_.size());
  std::swap(old, entries_);
  const size_t mask = entries_.size() - 1;
  for (const Entry& e : old) {
    if (e.count == 0) continue;
    size_t at = static_cast<size_t>(e.hash) & mask;
    while (entries_[at].count != 0) at = (at + 1) & mask;
    entries_[at] = e;
  }
}

}  // namespace triga
