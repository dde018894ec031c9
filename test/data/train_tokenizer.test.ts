import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { cleanText } from '../../lib/data/clean_text.js';
import { trainTokenizer } from '../../lib/data/train_tokenizer.js';
import { loadTokenizer } from '../../lib/tokenizers/tokenizer.js';
import { books, hasBooks } from './books.js';
import { naiveMerges, wordsOf } from './naive_bpe.js';
import { odd } from './odd_text.js';
import { scratchFolder } from './scratch.js';

const scratch = scratchFolder();
const clean = { normalize: true, boilerplate: true, repetition: false, minLength: 1, maxLength: 2 ** 31 - 1 };

interface Trained {
  readonly model: { readonly vocab: Record<string, number>; readonly merges: [string, string][] };
}
const modelOf = (tokenizer: object): Trained['model'] => (tokenizer as Trained).model;
const alphabetOf = ({ vocab }: Trained['model'], specials: number): string[] =>
  Object.entries(vocab)
    .filter(([, id]) => id >= specials && id < specials + 256)
    .sort(([, a], [, b]) => a - b)
    .map(([token]) => token);

describe('trainTokenizer', () => {
  test('its merges are those of the definition, on any script and with any threads', async () => {
    const text = `${odd}\n`.repeat(7) + 'aaaa aaa aa aaaaaaa abab ababab '.repeat(9);
    const file = await scratch.put('odd.txt', text);
    const options = { vocabSize: 1 + 256 + 200, repetition: false };
    const results = await Promise.all(
      [1, 2, 3].map((threads) => trainTokenizer([file], { ...options, threads })),
    );
    const model = modelOf(results[0]!.tokenizer);
    for (const other of results) expect(other.tokenizer).toEqual(results[0]!.tokenizer);
    const cleaned = cleanText(text, 'text', clean) as { text: string };
    const words = wordsOf(cleaned.text);
    expect(results[0]!.words).toBe(new Set(words).size);
    expect(model.merges).toEqual(naiveMerges(words, alphabetOf(model, 1), 200, 2));
  });

  test.skipIf(!hasBooks)('and on a book', async () => {
    const [book = ''] = books;
    const { tokenizer, words } = await trainTokenizer([book], { vocabSize: 257 + 60 });
    const cleaned = cleanText(await readFile(book, 'utf8'), 'markdown', clean) as { text: string };
    const expected = wordsOf(cleaned.text);
    expect(words).toBe(new Set(expected).size);
    const model = modelOf(tokenizer);
    expect(model.merges).toEqual(naiveMerges(expected, alphabetOf(model, 1), 60, 2));
  });

  test('what it writes loads, and gives texts back', async () => {
    const file = await scratch.put('small.txt', `the cat and the hat\n${odd}`);
    const out = scratch.path('tokenizer');
    const specialTokens = ['<|endoftext|>', '<|pad|>'];
    const { vocabSize } = await trainTokenizer([file], {
      vocabSize: 270,
      specialTokens,
      minFrequency: 1,
      out,
    });
    expect(vocabSize).toBe(270);
    const tokenizer = await loadTokenizer(out);
    try {
      expect(tokenizer?.vocabSize).toBe(270);
      expect(tokenizer?.tokenToId('<|pad|>')).toBe(1);
      const ids = await tokenizer!.encode(odd);
      expect(await tokenizer!.decode(ids)).toBe(odd);
      expect(await tokenizer!.encode('<|endoftext|>')).toEqual([0]);
    } finally {
      tokenizer?.dispose();
    }
  });

  test('fewer pairs than asked for give a smaller vocabulary', async () => {
    const file = await scratch.put('tiny.txt', 'ab ab ab');
    const { vocabSize, merges } = await trainTokenizer([file], { vocabSize: 1000 });
    expect({ vocabSize, merges }).toEqual({ vocabSize: 1 + 256 + 2, merges: 2 });
  });

  test('a document with a special token is dropped, unless it separates', async () => {
    const file = await scratch.put('specials.txt', 'one<|endoftext|>two');
    const dropped = trainTokenizer([file], { vocabSize: 300 });
    await expect(dropped).rejects.toThrow(/special token/);
    const { report } = await trainTokenizer([file], { vocabSize: 300, separator: '<|endoftext|>' });
    expect(report.kept.documents).toBe(2);
  });

  test('wrong options and inputs throw', async () => {
    const file = await scratch.put('one.txt', 'some words');
    const trained = (options: object, inputs = [file]) =>
      trainTokenizer(inputs, { vocabSize: 300, ...options } as Parameters<typeof trainTokenizer>[1]);
    await expect(trained({ vocabSize: 256 })).rejects.toThrow(/vocabSize to be an integer from 257/);
    await expect(trained({ vocabsize: 300 })).rejects.toThrow(/did you mean "vocabSize"/);
    await expect(trained({ specialTokens: [] })).rejects.toThrow(/specialTokens/);
    await expect(trained({ specialTokens: ['a', 'a'] })).rejects.toThrow(/once/);
    await expect(trained({ specialTokens: ['Ġ'] })).rejects.toThrow(/spelled/);
    await expect(trained({}, [])).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(trained({}, [scratch.path('nothing')])).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    const cancelled = new AbortController();
    const running = trained({ signal: cancelled.signal, vocabSize: 5000 });
    cancelled.abort();
    await expect(running).rejects.toMatchObject({ name: 'AbortError' });
  });
});
