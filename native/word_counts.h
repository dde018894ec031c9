// How often each word occurs: a hash table whose words lie one after the other in one piece of memory.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace triga {

// Eight bytes a step: multiply and fold. Not against inputs that are made to collide.
uint64_t HashOf(std::string_view word);

class WordCounts {
 public:
  struct Entry {
    uint64_t hash;
    uint64_t count;  // 0: free
    size_t begin;    // in the bytes
    size_t length;
  };

  // Adds `count` (above 0) occurrences. Throws std::bad_alloc.
  void Add(std::string_view word, uint64_t count);
  // Adds all that `other` has.
  void Add(const WordCounts& other);

  size_t size() const { return size_; }
  // In no order; entries of count 0 are none.
  const std::vector<Entry>& entries() const { return entries_; }
  std::string_view WordOf(const Entry& e) const { return {bytes_.data() + e.begin, e.length}; }

 private:
  void Grow();

  std::vector<Entry> entries_;  // a power of two, open addressing
  std::vector<char> bytes_;
  size_t size_ = 0;
};

}  // namespace triga
