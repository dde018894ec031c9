// A byte-level BPE tokenizer in training: texts are counted as they come, then the merges are learned. Both are jobs of the pool.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "native/bpe_merges.h"
#include "native/owned_job.h"
#include "native/word_counts.h"

namespace triga {

class BpeTrainer final : public JobOwner {
 public:
  // Symbols 0 … 255 are the bytes of `alphabet`, in that order.
  BpeTrainer(int threads, const std::array<uint8_t, 256>& alphabet)
      : threads_(threads), alphabet_(alphabet), counts_(static_cast<size_t>(threads)) {}

  // Counts the words of UTF-8 texts that lie one after the other in `bytes`; `ends` says where each ends, in ascending order. A
  // word never reaches over two of them. Throws EngineError if `ends` do not fit.
  static void Count(const std::shared_ptr<BpeTrainer>& self, std::vector<uint8_t> bytes,
                    const std::vector<size_t>& ends, std::unique_ptr<Completion> completion);

  // Learns merges of pairs that occur at least `min_count` times, until there are `symbols` of them and bytes together. Gives up
  // the counts: this is the trainer's last job. Tells of the merges so far.
  static void Learn(const std::shared_ptr<BpeTrainer>& self, int64_t symbols, uint64_t min_count,
                    std::unique_ptr<Completion> completion);

  // The merges that Learn() found, in order.
  const std::vector<Merge>& merges() const { return merges_; }
  // Words that differ, over all that was counted; known once Learn() has ended.
  size_t words() const { return words_; }
  // Words of more than kLongestWord bytes, which are left out.
  int64_t long_words() const { return long_words_; }

  // Nothing that recurs is that long, and a merge within such a word takes the time of its length.
  static constexpr size_t kLongestWord = 1024;

 private:
  friend class CountJob;
  friend class LearnJob;

  const int threads_;
  const std::array<uint8_t, 256> alphabet_;
  std::vector<WordCounts> counts_;  // one a thread
  std::vector<Merge> merges_;
  size_t words_ = 0;
  std::atomic<int64_t> long_words_{0};
};

}  // namespace triga
