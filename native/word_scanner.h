// GPT-2's pre-tokenization: a text falls into words, and BPE never joins bytes of two of them.
#pragma once
#include <cstdint>

namespace triga {

enum class CharClass : uint8_t { kOther, kLetter, kNumber, kSpace };

// The end of the word that begins at `at` (at < end), of UTF-8 text. A word is a match of
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
// (Radford et al., 2019, "Language Models are Unsupervised Multitask Learners"), with the classes of npm `tokenizers`. Bytes that
// are no UTF-8 are characters of class kOther; nothing at or beyond `end` is read.
const uint8_t* WordEnd(const uint8_t* at, const uint8_t* end);

// The first place at or after `at` where a text may be cut without changing its words: between a graphic ASCII character and the
// white space after it. `end` if there is none. `begin` is where the text begins.
const uint8_t* SafeCut(const uint8_t* begin, const uint8_t* at, const uint8_t* end);

}  // namespace triga
