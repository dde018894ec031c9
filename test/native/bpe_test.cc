// Byte pair encoding below N-API: bytes that are no UTF-8, training on several threads, and that encoding gives texts back. Texts lie
// in memory of exactly their size, so that sanitizers see a byte read beyond it.
#include <algorithm>
#include <memory>
#include <string>
#include <thread>

#include "native/bpe_encoder.h"
#include "native/bpe_trainer.h"
#include "native/word_scanner.h"
#include "test/native/session_harness.h"

namespace triga::test {
namespace {

// Memory of exactly the text's size.
struct Exact {
  explicit Exact(const std::string& text) : size(text.size()), bytes(new uint8_t[size]) {
    std::copy(text.begin(), text.end(), bytes.get());
  }
  const uint8_t* end() const { return bytes.get() + size; }
  std::string_view view() const { return {reinterpret_cast<const char*>(bytes.get()), size}; }

  size_t size;
  std::unique_ptr<uint8_t[]> bytes;
};

std::string RandomText(Random& random, int length) {
  static const char* const kPieces[] = {
      "the", " the", "'s",   "'ll",      " ",        "\n",   "  ",
      "a",   "12",   "\xe6", "\xe6\xbc", "漢",       "é",    "\xff",
      "!?",  "\t",   "'",    "\xf0\x9f", "\xf4\x90", "\xc0", "\xe3\x80\x80"};
  std::string text;
  for (int i = 0; i < length; ++i)
    text += kPieces[random.Below(static_cast<int>(sizeof(kPieces) / sizeof(kPieces[0])))];
  return text;
}

std::vector<std::string> WordsOf(const Exact& text) {
  std::vector<std::string> words;
  for (const uint8_t* at = text.bytes.get(); at < text.end();) {
    const uint8_t* next = WordEnd(at, text.end());
    Check(next > at && next <= text.end(), "a word lies within its text");
    words.emplace_back(at, next);
    at = next;
  }
  return words;
}

void TestWords() {
  Random random(3);
  for (int round = 0; round < 3000; ++round) {
    const Exact text(RandomText(random, random.Below(30)));
    const std::vector<std::string> words = WordsOf(text);
    const size_t at =
        text.size == 0 ? 0 : static_cast<size_t>(random.Below(static_cast<int>(text.size)));
    const uint8_t* const begin = text.bytes.get();
    const size_t cut = static_cast<size_t>(SafeCut(begin, begin + at, text.end()) - begin);
    std::vector<std::string> parts = WordsOf(Exact(std::string(text.view().substr(0, cut))));
    for (std::string& word : WordsOf(Exact(std::string(text.view().substr(cut)))))
      parts.push_back(std::move(word));
    Check(parts == words, "a cut leaves the words as they are");
  }
}

std::array<uint8_t, 256> Alphabet() {
  std::array<uint8_t, 256> alphabet;
  for (size_t i = 0; i < alphabet.size(); ++i) alphabet[i] = static_cast<uint8_t>(255 - i);
  return alphabet;
}

std::vector<Merge> Train(const std::string& text, int threads, int64_t symbols) {
  const auto trainer = std::make_shared<BpeTrainer>(threads, Alphabet());
  for (size_t begin = 0; begin < text.size();) {
    const size_t size = std::min<size_t>(200'000, text.size() - begin);
    Outcome counted;
    BpeTrainer::Count(trainer,
                      {text.begin() + static_cast<std::ptrdiff_t>(begin),
                       text.begin() + static_cast<std::ptrdiff_t>(begin + size)},
                      {size / 3, size / 2, size}, counted.MakeCompletion());
    Check(counted.Code().empty(), "texts are counted");
    begin += size;
  }
  Outcome learned;
  BpeTrainer::Learn(trainer, symbols, 2, learned.MakeCompletion());
  Check(learned.Code().empty(), "merges are learned");
  return trainer->merges();
}

void TestTraining() {
  Random random(5);
  const std::string text = RandomText(random, 200'000);
  const std::vector<Merge> merges = Train(text, 1, 1000);
  Check(merges.size() >= 100, "there is something to merge");
  for (const int threads : {2, 3}) {
    const std::vector<Merge> other = Train(text, threads, 1000);
    const bool same = std::equal(merges.begin(), merges.end(), other.begin(), other.end(),
                                 [](const Merge& a, const Merge& b) {
                                   return a.left == b.left && a.right == b.right && a.id == b.id;
                                 });
    Check(same, "merges do not depend on threads");
  }

  std::vector<std::string> spelled;
  std::array<int32_t, 256> ids_of_bytes;
  for (size_t i = 0; i < 256; ++i) {
    spelled.emplace_back(1, static_cast<char>(Alphabet()[i]));
    ids_of_bytes[Alphabet()[i]] = static_cast<int32_t>(i);
  }
  for (const Merge& m : merges) {
    if (static_cast<size_t>(m.id) == spelled.size())
      spelled.push_back(spelled[static_cast<size_t>(m.left)] +
                        spelled[static_cast<size_t>(m.right)]);
  }
  BpeEncoder encoder(ids_of_bytes, merges);
  for (int round = 0; round < 300; ++round) {
    const Exact exact(RandomText(random, random.Below(200)));
    std::vector<int32_t> ids;
    encoder.Encode(exact.view(), ids);
    std::string back;
    for (const int32_t id : ids) back += spelled[static_cast<size_t>(id)];
    Check(back == exact.view(), "ids stand for the text");
  }
}

void TestCancelling() {
  const auto trainer = std::make_shared<BpeTrainer>(2, Alphabet());
  Random random(9);
  const std::string text = RandomText(random, 500'000);
  Outcome outcome;
  BpeTrainer::Count(trainer, {text.begin(), text.end()}, {text.size()}, outcome.MakeCompletion());
  trainer->Cancel();
  const std::string code = outcome.Code();
  Check(code.empty() || code == "ABORTED", "a cancelled job says so");
  Check(!trainer->busy(), "a job that has ended leaves its owner idle");
}

}  // namespace

void TestBpe() {
  TestWords();
  TestTraining();
  TestCancelling();
}

}  // namespace triga::test
