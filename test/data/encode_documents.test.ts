import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadEncoder } from '../../lib/data/encode_documents.js';
import { trainTokenizer } from '../../lib/data/train_tokenizer.js';
import { byteLevelIds } from '../../lib/tokenizers/byte_level.js';
import { loadTokenizer, type Tokenizer } from '../../lib/tokenizers/tokenizer.js';
import { books, hasBooks } from './books.js';
import { odd } from './odd_text.js';
import { scratchFolder } from './scratch.js';

const scratch = scratchFolder();
const directory = (): string => scratch.path('tokenizer');
let library: Tokenizer;

beforeAll(async () => {
  const own = await scratch.put('text.txt', `${odd} `.repeat(20) + 'aaaaaaaaaaaa '.repeat(9));
  const inputs = hasBooks ? books.slice(0, 1) : [own];
  await trainTokenizer([own, ...inputs], { vocabSize: 5000, out: directory(), repetition: false });
  library = (await loadTokenizer(directory())) as Tokenizer;
  return () => library.dispose();
});

/** What the engine, and what the library makes of a text. */
async function both(text: string): Promise<[number[], number[]]> {
  const utf8 = Buffer.from(text);
  const { data, ends } = await loadEncoder(directory(), 0).encode([
    { text, utf8 },
    { text: '', utf8: Buffer.of() },
  ]);
  expect([...ends]).toEqual([data.length - 1, data.length]);
  return [[...data.subarray(0, -2)], await library.encode(text, { addSpecialTokens: false })];
}

describe('the engine encodes as the library does', () => {
  test.skipIf(!hasBooks).each(books)('%s', async (book) => {
    const [ours, theirs] = await both(await readFile(book, 'utf8'));
    expect(ours.length).toBe(theirs.length);
    expect(ours.findIndex((id, i) => id !== theirs[i])).toBe(-1);
  });

  test('odd texts', async () => {
    for (const text of [
      odd,
      'aaaaaaaaaaaaaaaaaaaaaaaaa',
      'ab'.repeat(5000),
      ' ',
      "'",
      '\n\n ',
      'x  ',
      ' \u0301',
    ]) {
      const [ours, theirs] = await both(text);
      expect(ours).toEqual(theirs);
    }
  });

  test('every character at the edges of the classes of Unicode', async () => {
    const header = await readFile(new URL('../../native/unicode_classes.h', import.meta.url), 'utf8');
    const runs = [...header.matchAll(/0x([0-9a-f]+),/g)].map(
      ([, hex]) => Number.parseInt(hex as string, 16) >> 2,
    );
    expect(runs.length).toBeGreaterThan(1000);
    const edges = [...new Set(runs.flatMap((code) => [code - 1, code]))].filter(
      (code) => code >= 0 && (code < 0xd800 || code > 0xdfff),
    );
    const text = edges.map(
      (code) => `a${String.fromCodePoint(code)}1${String.fromCodePoint(code)}!${String.fromCodePoint(code)}`,
    );
    const [ours, theirs] = await both(text.join(''));
    expect(ours.length).toBe(theirs.length);
    expect(ours.findIndex((id, i) => id !== theirs[i])).toBe(-1);
  });
});

test('what the engine does not apply, the library does', async () => {
  const other = scratch.path('normalizing');
  await mkdir(other);
  const json = JSON.parse(await readFile(join(directory(), 'tokenizer.json'), 'utf8'));
  await writeFile(
    join(other, 'tokenizer.json'),
    JSON.stringify({ ...json, normalizer: { type: 'Lowercase' } }),
  );
  const texts = ['The CAT', 'and the hat'];
  const { data, ends } = await loadEncoder(other, 0).encode(
    texts.map((text) => ({ text, utf8: Buffer.from(text) })),
  );
  const expected = await Promise.all(
    texts.map((text) => library.encode(text.toLowerCase(), { addSpecialTokens: false })),
  );
  expect([...data]).toEqual(expected.flatMap((ids) => [...ids, 0]));
  expect([...ends]).toEqual([expected[0]!.length + 1, data.length]);
});

describe('byteLevelIds', () => {
  test('takes only what is of that kind', async () => {
    const json = JSON.parse(await readFile(join(directory(), 'tokenizer.json'), 'utf8'));
    expect(byteLevelIds(json)?.merges).toHaveLength(3 * json.model.merges.length);
    const spaced = json.model.merges.map((merge: [string, string]) => merge.join(' '));
    expect(byteLevelIds({ ...json, model: { ...json.model, merges: spaced } })).toEqual(byteLevelIds(json));
    for (const change of [
      { normalizer: { type: 'NFC' } },
      { pre_tokenizer: { ...json.pre_tokenizer, add_prefix_space: true } },
      { pre_tokenizer: { ...json.pre_tokenizer, use_regex: false } },
      { pre_tokenizer: { type: 'Whitespace' } },
      { added_tokens: [{ id: 9, content: 'the', special: false }] },
      { model: { ...json.model, ignore_merges: true } },
      { model: { ...json.model, vocab: {} } },
    ])
      expect(byteLevelIds({ ...json, ...change })).toBeUndefined();
  });
});
