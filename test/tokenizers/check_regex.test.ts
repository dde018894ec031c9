import { describe, expect, test } from 'vitest';
import { checkPatterns } from '../../lib/tokenizers/check_patterns.js';
import { mayMatchNothing, regexCost } from '../../lib/tokenizers/check_regex.js';

const limitsOf = (Regex: string) =>
  checkPatterns({ normalizer: [], pre_tokenizer: [{ pattern: { Regex } }], decoder: [] }, 'tokenizer.json');

/** How tokenizers in use split. */
const inUse: Record<string, string> = {
  'GPT-2': "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
  'Llama 3':
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  cl100k:
    "(?i:'s|'t|'re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}++|\\p{N}{1,3}+| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*+|\\s++$|\\s*[\\r\\n]|\\s+(?!\\S)|\\s",
  o200k:
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  BLOOM: ' ?[^(\\s|[.,!?…。，、।۔،])]+',
  'digits from the right': '\\d{1,3}(?=(?:\\d{3})*\\b)',
};

describe('patterns of tokenizers in use', () => {
  test.each(Object.entries(inUse))('%s: runs of two million characters', (_, pattern) => {
    expect(limitsOf(pattern)).toEqual({ run: 2_000_000, text: Number.POSITIVE_INFINITY });
  });
});

test.each([
  '(a*)*$',
  '^(a|a)*$',
  '(a+)+b',
  '(?:\\w+\\s?)+!',
  '((a{1,9}){1,9}){1,9}b',
  '(?=(a+)+b)',
  '(a+){2,}b',
  '(?<=a+)b',
  'a*a*a*a*b',
  '\\p{N}{1,3}+x',
])('%s may take too many steps back', (pattern) => {
  expect(() => regexCost(pattern, 'x')).toThrow(/x: expected a regular expression that takes few steps back/);
});

test.each(['(a)\\1', '(?<n>a\\g<n>)', 'a\\Kb', '(?~a)', '\\X+', '(?(1)a|b)', '(?x) a b'])(
  '%s is not understood',
  (pattern) => {
    expect(() => regexCost(pattern, 'x')).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }));
  },
);

test.each(['(', ')', '[', 'a\\', '(?#', '(?:a'])('%s is broken', (pattern) => {
  expect(() => regexCost(pattern, 'x')).toThrow(expect.objectContaining({ code: 'MODEL_FORMAT' }));
});

test('deep nesting is an error, not a stack without end', () => {
  for (const pattern of ['('.repeat(1e5), '['.repeat(1e5), `a${'{1}'.repeat(1e5)}`])
    expect(() => regexCost(pattern, 'x')).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }));
});

test('what costs more is limited to shorter texts', () => {
  expect(limitsOf('a*b*c').run).toBeCloseTo(1000, -1); // the third power of it in all
  expect(limitsOf('.*x').text).toBe(8_000_000); // across white space
  expect(limitsOf('(a+)+').run).toBe(2_000_000); // nothing behind it can fail
  expect(limitsOf('(a+){2,}').run).toBeCloseTo(1000, -1); // but the second round may
});

test.each<[string, boolean]>([
  ['', true],
  ['a*', true],
  ['a|', true],
  ['(?=a)', true],
  ['\\b^$', true],
  ['a{0}', true],
  ['a+', false],
  ['(?=a)a', false],
  ['a|bc', false],
  ['(?:a?){3}b', false],
])('%s may match nothing: %s', (pattern, nothing) => {
  expect(mayMatchNothing(pattern, 'x')).toBe(nothing);
});
