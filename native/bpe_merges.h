// Byte pair encoding learned from counted words (Sennrich et al., 2016, "Neural Machine Translation of Rare Words with Subword
// Units"): again and again the most frequent pair of neighbours becomes a symbol. Each pair knows the words it occurs in, so a
// merge costs what it changes.
#pragma once
#include <array>
#include <cstdint>
#include <queue>
#include <string>
#include <unordered_map>
#include <vector>

#include "native/word_counts.h"

namespace triga {

struct Merge {
  int32_t left, right;
  int32_t id;  // of what comes of it: a new one, or that of an older symbol of the same bytes
};

class BpeMerges {
 public:
  // Ids 0 … 255 stand for the bytes of `alphabet`. `words` are read by the first calls of Advance().
  BpeMerges(const WordCounts& words, const std::array<uint8_t, 256>& alphabet);

  // Learns merges until there are `symbols` symbols, no pair occurs `min_count` times, or the work of a step is done. True: there
  // are no more. Of pairs that are equally frequent the one with the smaller ids comes first, so the words' order has no say.
  // Throws std::bad_alloc.
  bool Advance(int64_t symbols, uint64_t min_count);

  const std::vector<Merge>& merges() const { return merges_; }

 private:
  struct Word {
    size_t begin;  // of its symbols
    uint32_t length;
    uint64_t count;
  };
  struct Pair {
    uint64_t count = 0;
    bool merged = false;
    std::vector<uint32_t> words;  // in which it occurs, or did
  };
  struct Candidate {
    uint64_t count;
    int32_t left, right;
    bool operator<(const Candidate& o) const {
      if (count != o.count) return count < o.count;
      return left != o.left ? left > o.left : right > o.right;
    }
  };

  // Takes over some of the words; true when there are no more.
  bool TakeWords();
  Pair& PairOf(int32_t left, int32_t right);
  void Increase(int32_t left, int32_t right, uint32_t word);
  void Decrease(int32_t left, int32_t right, uint64_t count);
  int32_t IdOf(int32_t left, int32_t right);
  // Merges the pair in one word.
  void MergeIn(uint32_t word, const Merge& merge);
  void Offer();

  const WordCounts& source_;
  size_t taken_ = 0;  // of the source's entries
  std::array<int32_t, 256> id_of_byte_;
  std::vector<int32_t> symbols_;
  std::vector<Word> words_;
  std::unordered_map<uint64_t, Pair> pairs_;
  std::priority_queue<Candidate> candidates_;  // with counts that may have fallen since
  std::vector<uint64_t> increased_;            // keys of pairs, since the last offer
  std::vector<std::string> bytes_;             // of each symbol
  std::unordered_map<std::string, int32_t> ids_;
  std::vector<Merge> merges_;
};

}  // namespace triga
