// Byte-level BPE, applied: a text's words, each merged by the rank of its pairs. Words come again and again, so what became of
// them is kept.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "native/bpe_merges.h"

namespace triga {

// Not for two threads at once.
class BpeEncoder {
 public:
  // Ids of the 256 bytes, and merges by rank, each pair once. Throws EngineError for a pair that comes twice.
  BpeEncoder(const std::array<int32_t, 256>& bytes, const std::vector<Merge>& merges);

  // Appends the ids of a UTF-8 text. Throws std::bad_alloc.
  void Encode(std::string_view text, std::vector<int32_t>& ids);

 private:
  struct Ranked {
    uint32_t rank;
    int32_t id;
  };
  // A symbol of a word that is being merged.
  struct Symbol {
    int32_t id;
    int32_t before, after;  // places of its neighbours; −1: none
    bool merged;            // into the one before it
  };
  struct Known {
    uint64_t hash;
    size_t word, ids;        // where they begin
    uint32_t length, count;  // count 0: free
  };

  void EncodeWord(std::string_view word, std::vector<int32_t>& ids);
  void MergeWord(std::string_view word, std::vector<int32_t>& ids);

  std::array<int32_t, 256> bytes_;
  std::unordered_map<uint64_t, Ranked> ranks_;
  std::vector<Symbol> symbols_;  // of the word under way
  std::vector<Known> known_;     // open addressing
  size_t known_count_ = 0;
  std::vector<char> known_words_;
  std::vector<int32_t> known_ids_;
};

}  // namespace triga
