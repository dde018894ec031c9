#include "native/word_scanner.h"

#include <cstddef>
#include <vector>

#include "native/unicode_classes.h"

namespace triga {
namespace {

constexpr uint32_t kCodePoints = 0x110000;

// Class by code point: 1.1 MB, of which a text touches the pages of its scripts.
const uint8_t* Classes() {
  static const std::vector<uint8_t> classes = [] {
    std::vector<uint8_t> table(kCodePoints);
    constexpr size_t runs = sizeof(kUnicodeRuns) / sizeof(kUnicodeRuns[0]);
    for (size_t r = 0; r < runs; ++r) {
      const uint32_t last = r + 1 < runs ? kUnicodeRuns[r + 1] >> 2 : kCodePoints;
      for (uint32_t c = kUnicodeRuns[r] >> 2; c < last; ++c)
        table[c] = static_cast<uint8_t>(kUnicodeRuns[r] & 3);
    }
    return table;
  }();
  return classes.data();
}

struct Char {
  CharClass kind;
  uint32_t bytes;
};

bool IsContinuation(uint8_t byte) { return (byte & 0xc0) == 0x80; }

// The character at `p` (p < end).
Char CharAt(const uint8_t* classes, const uint8_t* p, const uint8_t* end) {
  const uint8_t lead = *p;
  if (lead < 0x80) return {static_cast<CharClass>(classes[lead]), 1};
  const uint32_t bytes = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  constexpr Char kMalformed{CharClass::kOther, 1};
  if (lead < 0xc2 || lead > 0xf4 || static_cast<size_t>(end - p) < bytes) return kMalformed;
  uint32_t code = lead & (0x7fu >> bytes);
  for (uint32_t i = 1; i < bytes; ++i) {
    if (!IsContinuation(p[i])) return kMalformed;
    code = code << 6 | (p[i] & 0x3fu);
  }
  if (code >= kCodePoints) return kMalformed;
  return {static_cast<CharClass>(classes[code]), bytes};
}

// Bytes of the contraction at `p`, which is an apostrophe; 0: none.
size_t Contraction(const uint8_t* p, const uint8_t* end) {
  const size_t left = static_cast<size_t>(end - p);
  if (left < 2) return 0;
  const uint8_t a = p[1];
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
  if (left < 3) return 0;
  const uint8_t b = p[2];
  return ((a == 'r' || a == 'v') && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

}  // namespace

const uint8_t* WordEnd(const uint8_t* at, const uint8_t* end) {
  static const uint8_t* const classes = Classes();
  if (*at == '\'') {
    if (const size_t bytes = Contraction(at, end)) return at + bytes;
  }
  const uint8_t* p = at;
  Char c = CharAt(classes, p, end);
  if (*p == ' ' && p + 1 < end) {
    const Char next = CharAt(classes, p + 1, end);
    if (next.kind != CharClass::kSpace) {
      c = next;
      ++p;
    }
  }
  const CharClass kind = c.kind;
  const uint8_t* last = p;
  for (p += c.bytes; p < end; p += c.bytes) {
    c = CharAt(classes, p, end);
    if (c.kind != kind) break;
    last = p;
  }
  // White space before a character leaves its last one to the next word, if it has more than that.
  return kind == CharClass::kSpace && p < end && last > at ? last : p;
}

const uint8_t* SafeCut(const uint8_t* begin, const uint8_t* at, const uint8_t* end) {
  for (const uint8_t* p = at > begin ? at : begin + 1; p < end; ++p) {
    if ((*p == ' ' || *p == '\n') && p[-1] > ' ' && p[-1] < 0x7f) return p;
  }
  return end;
}

}  // namespace triga
