import { InvalidArgumentError } from '../errors.js';
import type { TextLimits } from './check_patterns.js';

/** Throws `InvalidArgumentError` for a text that the library's regular expressions might not survive. */
export function checkRuns(text: string, limits: TextLimits): void {
  if (text.length > limits.text) {
    throw new InvalidArgumentError(
      `encode: expected at most ${limits.text} characters for this tokenizer's patterns, got ${text.length}; encode the text in parts`,
    );
  }
  if (text.length <= limits.run) return;
  let start = 0;
  let inSpace = false;
  for (let i = 0; i < text.length; i++) {
    const space = isSpace(text.charCodeAt(i));
    if (space !== inSpace) {
      start = i;
      inSpace = space;
    } else if (i - start >= limits.run) {
      throw new InvalidArgumentError(
        `encode: expected runs of at most ${limits.run} characters with or without white space, ` +
          `got a longer one at ${start}; encode the text in parts`,
      );
    }
  }
}

/** Unicode White_Space, all of it in the basic plane. */
function isSpace(code: number): boolean {
  if (code < 0x85) return code === 0x20 || (code >= 0x09 && code <= 0x0d);
  return (
    code === 0x85 ||
    code === 0xa0 ||
    code === 0x1680 ||
    (code >= 0x2000 && code <= 0x200a) ||
    code === 0x2028 ||
    code === 0x2029 ||
    code === 0x202f ||
    code === 0x205f ||
    code === 0x3000
  );
}
