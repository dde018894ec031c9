#include "native/bpe_encoder.h"

#include <functional>
#include <queue>
#include <tuple>

#include "native/error.h"
#include "native/word_counts.h"
#include "native/word_scanner.h"

namespace triga {
namespace {

// Words that are kept: about 50 MB with their ids. A text in a natural language has fewer.
constexpr size_t kSlots = size_t{1} << 20;
constexpr size_t kMostKnown = kSlots / 2;
// Longer words seldom come again.
constexpr size_t kLongestKnown = 64;

uint64_t KeyOf(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

}  // namespace

BpeEncoder::BpeEncoder(const std::array<int32_t, 256>& bytes, const std::vector<Merge>& merges)
    : bytes_(bytes), known_(kSlots) {
  ranks_.reserve(merges.size());
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const Merge& m = merges[rank];
    if (!ranks_.emplace(KeyOf(m.left, m.right), Ranked{static_cast<uint32_t>(rank), m.id}).second)
      throw EngineError(ErrorCode::kInvalidArgument, "tokenizer: expected each merge once");
  }
}

void BpeEncoder::Encode(std::string_view text, std::vector<int32_t>& ids) {
  const uint8_t* at = reinterpret_cast<const uint8_t*>(text.data());
  const uint8_t* const end = at + text.size();
  while (at < end) {
    const uint8_t* const next = WordEnd(at, end);
    EncodeWord({reinterpret_cast<const char*>(at), static_cast<size_t>(next - at)}, ids);
    at = next;
  }
}

void BpeEncoder::EncodeWord(std::string_view word, std::vector<int32_t>& ids) {
  if (word.size() > kLongestKnown) return MergeWord(word, ids);
  const uint64_t hash = HashOf(word);
  size_t at = static_cast<size_t>(hash) & (kSlots - 1);
  for (; known_[at].count != 0; at = (at + 1) & (kSlots - 1)) {
    const Known& k = known_[at];
    if (k.hash != hash || std::string_view(known_words_.data() + k.word, k.length) != word)
      continue;
    ids.insert(ids.end(), known_ids_.data() + k.ids, known_ids_.data() + k.ids + k.count);
    return;
  }
  const size_t before = ids.size();
  MergeWord(word, ids);
  if (known_count_ == kMostKnown) return;
  ++known_count_;
  known_[at] = {hash, known_words_.size(), known_ids_.size(), static_cast<uint32_t>(word.size()),
                static_cast<uint32_t>(ids.size() - before)};
  known_words_.insert(known_words_.end(), word.begin(), word.end());
  known_ids_.insert(known_ids_.end(), ids.data() + before, ids.data() + ids.size());
}

// The pair of the lowest rank first, the leftmost of equal ones: n log n steps for n bytes.
void BpeEncoder::MergeWord(std::string_view word, std::vector<int32_t>& ids) {
  using Candidate = std::tuple<uint32_t, int32_t, int32_t>;  // rank, place, id of what comes of it
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<Candidate>> candidates;
  const int32_t length = static_cast<int32_t>(word.size());
  symbols_.clear();
  for (int32_t i = 0; i < length; ++i) {
    const uint8_t byte = static_cast<uint8_t>(word[static_cast<size_t>(i)]);
    symbols_.push_back({bytes_[byte], i - 1, i + 1 < length ? i + 1 : -1, false});
  }
  const auto symbol = [&](int32_t place) -> Symbol& {
    return symbols_[static_cast<size_t>(place)];
  };
  const auto rank_of = [&](int32_t place) {
    const Symbol& s = symbol(place);
    return s.after < 0 ? ranks_.end() : ranks_.find(KeyOf(s.id, symbol(s.after).id));
  };
  const auto offer = [&](int32_t place) {
    const auto found = rank_of(place);
    if (found != ranks_.end()) candidates.emplace(found->second.rank, place, found->second.id);
  };
  for (int32_t i = 0; i < length; ++i) offer(i);
  while (!candidates.empty()) {
    const auto [rank, place, id] = candidates.top();
    candidates.pop();
    Symbol& s = symbol(place);
    if (s.merged) continue;
    // Other symbols may stand there by now.
    const auto found = rank_of(place);
    if (found == ranks_.end() || found->second.rank != rank) continue;
    Symbol& right = symbol(s.after);
    right.merged = true;
    s.id = id;
    s.after = right.after;
    if (s.after >= 0) symbol(s.after).before = place;
    if (s.before >= 0) offer(s.before);
    offer(place);
  }
  for (int32_t at = 0; at >= 0; at = symbol(at).after) ids.push_back(symbol(at).id);
}

}  // namespace triga
