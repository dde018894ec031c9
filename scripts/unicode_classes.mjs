// Writes native/unicode_classes.h: which code points GPT-2's pattern takes for letters, numbers and white space. The library
// `tokenizers` is asked, and not JavaScript's own \p{L}: the two may know different versions of Unicode, and a tokenizer has to
// cut texts in training as it is cut with later. Run it again after an update of the library: node scripts/unicode_classes.mjs
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const { byteLevelPreTokenizer } = createRequire(import.meta.url)('tokenizers');
const pattern = byteLevelPreTokenizer(false);
const joins = (a, b) => pattern.preTokenizeString(a + b).length === 1;

/** 0 other, 1 letter, 2 number, 3 white space, as CharClass of native/word_scanner.h. */
function classOf(code) {
  if (code >= 0xd800 && code < 0xe000) return 0;
  const char = String.fromCodePoint(code);
  if (joins('!', char)) return 0;
  if (joins('a', char)) return 1;
  return joins('1', char) ? 2 : 3;
}

const runs = [];
let last = -1;
for (let code = 0; code < 0x110000; code++) {
  const found = classOf(code);
  if (found !== last) runs.push(code * 4 + found);
  last = found;
}

const lines = [];
for (let at = 0; at < runs.length; at += 9)
  lines.push(
    `    ${runs
      .slice(at, at + 9)
      .map((run) => `0x${run.toString(16)},`)
      .join(' ')}`,
  );
const text = `// Made by scripts/unicode_classes.mjs: classes of code points as npm tokenizers has them. Do not edit.
#pragma once
#include <cstdint>

namespace triga {

// Runs in ascending order: (first code point << 2) | class, as CharClass numbers them. A run ends where the next begins.
// clang-format off
constexpr uint32_t kUnicodeRuns[] = {
${lines.join('\n')}
};
// clang-format on

}  // namespace triga
`;
writeFileSync(fileURLToPath(new URL('../native/unicode_classes.h', import.meta.url)), text);
