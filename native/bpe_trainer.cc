#include "native/bpe_trainer.h"

#include <algorithm>
#include <atomic>
#include <string>
#include <utility>

#include "native/error.h"
#include "native/word_scanner.h"

namespace triga {
namespace {

constexpr size_t kTileBytes = size_t{1} << 16;

}  // namespace

// The texts are cut into tiles where no word is.
class CountJob final : public OwnedJob {
 public:
  CountJob(const std::shared_ptr<BpeTrainer>& trainer, std::vector<uint8_t> bytes,
           const std::vector<size_t>& ends, std::unique_ptr<Completion> completion)
      : OwnedJob(trainer, std::move(completion)),
        trainer_(trainer.get()),
        bytes_(std::move(bytes)) {
    size_t begin = 0;
    for (const size_t end : ends) {
      if (end < begin || end > bytes_.size())
        throw EngineError(ErrorCode::kInternal, "trainer: a text ends outside its bytes");
      Cut(begin, end);
      begin = end;
    }
  }

 private:
  void Cut(size_t begin, size_t end) {
    const uint8_t* const data = bytes_.data();
    while (begin < end) {
      const size_t target = std::min(begin + kTileBytes, end);
      const size_t cut =
          static_cast<size_t>(SafeCut(data + begin, data + target, data + end) - data);
      tiles_.emplace_back(begin, cut);
      begin = cut;
    }
  }

  bool Advance() override {
    // A step takes a few tiles a thread, so that models' steps come in between.
    const int64_t count =
        std::min(static_cast<int64_t>(tiles_.size()) - next_, int64_t{8} * trainer_->threads_);
    Pool::Get().ParallelFor(count, trainer_->threads_, &CountTiles, this);
    next_ += count;
    if (failed_.load(std::memory_order_relaxed)) throw std::bad_alloc();
    return next_ >= static_cast<int64_t>(tiles_.size());
  }

  static void CountTiles(void* context, int64_t begin, int64_t end, int thread) {
    CountJob& job = *static_cast<CountJob*>(context);
    try {
      for (int64_t i = begin; i < end; ++i)
        job.CountTile(job.tiles_[static_cast<size_t>(job.next_ + i)],
                      job.trainer_->counts_[static_cast<size_t>(thread)]);
    } catch (const std::exception&) {
      job.failed_.store(true, std::memory_order_relaxed);
    }
  }

  void CountTile(std::pair<size_t, size_t> tile, WordCounts& counts) {
    const uint8_t* const end = bytes_.data() + tile.second;
    for (const uint8_t* at = bytes_.data() + tile.first; at < end;) {
      const uint8_t* const next = WordEnd(at, end);
      const size_t length = static_cast<size_t>(next - at);
      if (length <= BpeTrainer::kLongestWord)
        counts.Add({reinterpret_cast<const char*>(at), length}, 1);
      else
        trainer_->long_words_.fetch_add(1, std::memory_order_relaxed);
      at = next;
    }
  }

  BpeTrainer* const trainer_;
  const std::vector<uint8_t> bytes_;
  std::vector<std::pair<size_t, size_t>> tiles_;  // [begin, end)
  int64_t next_ = 0;
  std::atomic<bool> failed_{false};
};

class LearnJob final : public OwnedJob {
 public:
  LearnJob(const std::shared_ptr<BpeTrainer>& trainer, int64_t symbols, uint64_t min_count,
           std::unique_ptr<Completion> completion)
      : OwnedJob(trainer, std::move(completion)),
        trainer_(trainer.get()),
        symbols_(symbols),
        min_count_(min_count) {}

 private:
  bool Advance() override {
    auto& counts = trainer_->counts_;
    if (counts.size() > 1) {
      counts.front().Add(counts.back());
      counts.pop_back();
      return false;
    }
    if (!learned_) learned_.emplace(counts.front(), trainer_->alphabet_);
    const bool done = learned_->Advance(symbols_, min_count_);
    if (!learned_->merges().empty())
      completion_->Progress(static_cast<int64_t>(learned_->merges().size()));
    return done;
  }

  void Succeed() override {
    trainer_->merges_ = learned_->merges();
    trainer_->words_ = trainer_->counts_.front().size();
    learned_.reset();
    trainer_->counts_.clear();
  }

  BpeTrainer* const trainer_;
  const int64_t symbols_;
  const uint64_t min_count_;
  std::optional<BpeMerges> learned_;
};

void BpeTrainer::Count(const std::shared_ptr<BpeTrainer>& self, std::vector<uint8_t> bytes,
                       const std::vector<size_t>& ends, std::unique_ptr<Completion> completion) {
  if (self->counts_.empty())
    throw EngineError(ErrorCode::kInternal,
                      "trainer: expected texts before the merges are learned");
  Pool::Get().Submit(
      std::make_shared<CountJob>(self, std::move(bytes), ends, std::move(completion)),
      self->threads_);
}

void BpeTrainer::Learn(const std::shared_ptr<BpeTrainer>& self, int64_t symbols, uint64_t min_count,
                       std::unique_ptr<Completion> completion) {
  if (self->counts_.empty())
    throw EngineError(ErrorCode::kInternal, "trainer: expected to learn once");
  Pool::Get().Submit(std::make_shared<LearnJob>(self, symbols, min_count, std::move(completion)),
                     self->threads_);
}

}  // namespace triga
