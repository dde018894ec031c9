#include "native/bpe_merges.h"

#include <algorithm>
#include <utility>

namespace triga {
namespace {

// Symbols looked at in one step: some milliseconds, after which other jobs have their turn.
constexpr size_t kStepSymbols = size_t{1} << 20;

uint64_t KeyOf(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

}  // namespace

BpeMerges::BpeMerges(const WordCounts& words, const std::array<uint8_t, 256>& alphabet)
    : source_(words) {
  for (size_t i = 0; i < alphabet.size(); ++i) {
    id_of_byte_[alphabet[i]] = static_cast<int32_t>(i);
    bytes_.emplace_back(1, static_cast<char>(alphabet[i]));
    ids_.emplace(bytes_.back(), static_cast<int32_t>(i));
  }
  words_.reserve(words.size());
}

bool BpeMerges::TakeWords() {
  const auto& entries = source_.entries();
  const size_t first = symbols_.size();
  for (; taken_ < entries.size() && symbols_.size() - first < kStepSymbols; ++taken_) {
    const WordCounts::Entry& e = entries[taken_];
    // A word of one byte has no pairs.
    if (e.count == 0 || e.length < 2) continue;
    const uint32_t index = static_cast<uint32_t>(words_.size());
    words_.push_back({symbols_.size(), static_cast<uint32_t>(e.length), e.count});
    for (const char c : source_.WordOf(e)) symbols_.push_back(id_of_byte_[static_cast<uint8_t>(c)]);
    const int32_t* s = symbols_.data() + words_.back().begin;
    for (size_t i = 0; i + 1 < e.length; ++i) Increase(s[i], s[i + 1], index);
  }
  Offer();
  return taken_ == entries.size();
}

bool BpeMerges::Advance(int64_t symbols, uint64_t min_count) {
  if (taken_ < source_.entries().size() && !TakeWords()) return false;
  size_t work = 0;
  while (static_cast<int64_t>(bytes_.size()) < symbols) {
    if (work > kStepSymbols) return false;
    if (candidates_.empty()) return true;
    const Candidate top = candidates_.top();
    candidates_.pop();
    Pair& pair = PairOf(top.left, top.right);
    if (pair.merged) continue;
    if (pair.count != top.count) {
      // What rose has been offered again already.
      if (pair.count > 0 && pair.count < top.count)
        candidates_.push({pair.count, top.left, top.right});
      continue;
    }
    if (top.count < std::max<uint64_t>(min_count, 1)) return true;
    const Merge merge{top.left, top.right, IdOf(top.left, top.right)};
    merges_.push_back(merge);
    const std::vector<uint32_t> in = std::exchange(pair.words, {});
    pair.merged = true;
    for (const uint32_t word : in) {
      work += words_[word].length;
      MergeIn(word, merge);
    }
    Offer();
  }
  return true;
}

BpeMerges::Pair& BpeMerges::PairOf(int32_t left, int32_t right) {
  return pairs_[KeyOf(left, right)];
}

void BpeMerges::Increase(int32_t left, int32_t right, uint32_t word) {
  Pair& pair = PairOf(left, right);
  if (pair.merged) return;
  pair.count += words_[word].count;
  if (pair.words.empty() || pair.words.back() != word) pair.words.push_back(word);
  const uint64_t key = KeyOf(left, right);
  if (increased_.empty() || increased_.back() != key) increased_.push_back(key);
}

void BpeMerges::Decrease(int32_t left, int32_t right, uint64_t count) {
  Pair& pair = PairOf(left, right);
  if (!pair.merged) pair.count -= count;
}

int32_t BpeMerges::IdOf(int32_t left, int32_t right) {
  std::string bytes = bytes_[static_cast<size_t>(left)] + bytes_[static_cast<size_t>(right)];
  const auto [found, is_new] = ids_.emplace(bytes, static_cast<int32_t>(bytes_.size()));
  if (is_new) bytes_.push_back(std::move(bytes));
  return found->second;
}

void BpeMerges::MergeIn(uint32_t index, const Merge& m) {
  Word& word = words_[index];
  int32_t* s = symbols_.data() + word.begin;
  uint32_t out = 0;
  for (uint32_t i = 0; i < word.length; ++i) {
    if (i + 1 >= word.length || s[i] != m.left || s[i + 1] != m.right) {
      s[out++] = s[i];
      continue;
    }
    if (out > 0) {
      Decrease(s[out - 1], m.left, word.count);
      Increase(s[out - 1], m.id, index);
    }
    if (i + 2 < word.length) {
      Decrease(m.right, s[i + 2], word.count);
      Increase(m.id, s[i + 2], index);
    }
    s[out++] = m.id;
    ++i;
  }
  word.length = out;
}

void BpeMerges::Offer() {
  std::sort(increased_.begin(), increased_.end());
  increased_.erase(std::unique(increased_.begin(), increased_.end()), increased_.end());
  for (const uint64_t key : increased_) {
    const Pair& pair = pairs_[key];
    if (pair.count > 0)
      candidates_.push({pair.count, static_cast<int32_t>(key >> 32), static_cast<int32_t>(key)});
  }
  increased_.clear();
}

}  // namespace triga
