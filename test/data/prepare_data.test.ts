import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadTextData } from '../../lib/data/load_text_data.js';
import { openTokenData } from '../../lib/data/open_token_data.js';
import { type PrepareDataOptions, prepareData } from '../../lib/data/prepare_data.js';
import { loadTokenizer, type Tokenizer } from '../../lib/tokenizers/tokenizer.js';
import { scratchFolder } from './scratch.js';
import { putByteTokenizer } from './tiny_tokenizer.js';

const scratch = scratchFolder();
let tokenizer = '';
let words: Tokenizer;
let folders = 0;
const newFolder = (): string => scratch.path(`data-${folders++}`);

beforeAll(async () => {
  tokenizer = await putByteTokenizer(scratch.path('tokenizer'));
  words = (await loadTokenizer(tokenizer)) as Tokenizer;
  return () => words.dispose();
});

/** Prepares a file of JSONL with these texts. */
async function prepared(texts: readonly string[], options: Partial<PrepareDataOptions> = {}) {
  const out = newFolder();
  const file = await scratch.put(
    `${folders}.jsonl`,
    texts.map((text) => JSON.stringify({ text })).join('\n'),
  );
  return prepareData([file], { out, tokenizer, ...options });
}

const sha256 = async (path: string): Promise<string> =>
  createHash('sha256')
    .update(await readFile(path))
    .digest('hex');

const texts = Array.from({ length: 60 }, (_, i) => `Document ${i} says ${'abcdefg'.slice(0, 1 + (i % 7))}.`);

describe('prepareData and openTokenData', () => {
  test('give back the documents in their order, each with its end', async () => {
    const { directory, splits, report } = await prepared(texts, { shardTokens: 100 });
    expect(report).toMatchObject({ files: 1, kept: { documents: 60 }, dropped: {} });
    expect(splits.train.shards.length).toBeGreaterThan(5);
    await using data = await openTokenData(directory);
    expect(data).toMatchObject({ documents: 60, vocabSize: 257, endOfText: 0 });
    const ids = await data.read(0, data.tokens);
    const decoded = await words.decode([...ids], { skipSpecialTokens: false });
    expect(decoded).toBe(texts.map((text) => `${text}<|endoftext|>`).join(''));
    expect(data.bytes).toBe(Buffer.byteLength(texts.join('')));
    expect([...(await data.read(95, 10))]).toEqual([...ids.subarray(95, 105)]);
  });

  test('the files do not depend on the number of threads', async () => {
    const long = Array.from({ length: 900 }, (_, i) => `${i} `.repeat(700 + (i % 50)));
    const results = [];
    for (const threads of [1, 3]) {
      const { directory } = await prepared(long, { threads, validation: 0.2, repetition: false });
      const names = (await readdir(directory)).sort();
      results.push(await Promise.all(names.map(async (name) => [name, await sha256(join(directory, name))])));
    }
    expect(results[0]).toEqual(results[1]);
  });

  test('the split depends on seed and text alone', async () => {
    const documentsOf = async (directory: string): Promise<string[]> => {
      await using data = await openTokenData(directory, { split: 'validation' });
      const decoded = await words.decode([...(await data.read(0, data.tokens))], {
        skipSpecialTokens: false,
      });
      return decoded.split('<|endoftext|>').slice(0, -1).sort();
    };
    const first = await documentsOf((await prepared(texts, { validation: 0.3, seed: 5 })).directory);
    const turned = await documentsOf(
      (await prepared(texts.toReversed(), { validation: 0.3, seed: 5 })).directory,
    );
    const other = await documentsOf((await prepared(texts, { validation: 0.3, seed: 6 })).directory);
    expect(turned).toEqual(first);
    expect(other).not.toEqual(first);
    expect(first.length).toBeGreaterThan(6);
    expect(first.length).toBeLessThan(32);
  });

  test('loadTextData gives the same tokens, without files', async () => {
    const file = await scratch.put('memory.jsonl', texts.map((text) => JSON.stringify({ text })).join('\n'));
    const { train, validation, report } = await loadTextData([file], { tokenizer, validation: 0.3, seed: 5 });
    const { directory } = await prepared(texts, { validation: 0.3, seed: 5 });
    expect(report.kept.documents).toBe(60);
    for (const [split, memory] of [['train', train] as const, ['validation', validation!] as const]) {
      await using data = await openTokenData(directory, { split });
      expect(await memory.read(0, memory.tokens)).toEqual(await data.read(0, data.tokens));
      const options = { contextLength: 20, batchSize: 4, seed: 1 };
      expect(await memory.batches(options).batch(3)).toEqual(await data.batches(options).batch(3));
    }
    const little = loadTextData([file], { tokenizer, maxTokens: 10 });
    await expect(little).rejects.toMatchObject({ code: 'OUT_OF_MEMORY' });
  });

  test('a large vocabulary is stored in four bytes', async () => {
    const directory = scratch.path('large');
    await putByteTokenizer(directory);
    const path = join(directory, 'tokenizer.json');
    const json = JSON.parse(await readFile(path, 'utf8'));
    for (let id = 257; id < 70_000; id++) json.model.vocab[`x${id}`] = id;
    await writeFile(path, JSON.stringify(json));
    const { dtype, directory: out } = await prepared(texts, { tokenizer: directory });
    expect(dtype).toBe('u32');
    await using data = await openTokenData(out);
    const decoded = await words.decode([...(await data.read(0, data.tokens))]);
    expect(decoded).toBe(texts.join(''));
  });
});

describe('what is damaged or does not fit', () => {
  test('a file that was cut short is a typed error, at once and later', async () => {
    const { directory } = await prepared(texts);
    const shard = join(directory, 'train-00000.bin');
    const whole = await readFile(shard);
    await using data = await openTokenData(directory);
    await truncate(shard, 100);
    await expect(data.read(0, data.tokens)).rejects.toMatchObject({ code: 'MODEL_FORMAT' });
    await expect(openTokenData(directory)).rejects.toThrow(/cut short/);
    whole.writeUInt16LE(257, 8);
    await writeFile(shard, whole);
    await using damaged = await openTokenData(directory);
    await expect(damaged.read(0, 10)).rejects.toThrow(/below 257, got 257 at token 4/);
    await truncate(join(directory, 'train-documents.bin'), 16);
    await expect(openTokenData(directory)).rejects.toMatchObject({ code: 'MODEL_FORMAT' });
  });

  test('a manifest is checked', async () => {
    const { directory } = await prepared(texts);
    const path = join(directory, 'manifest.json');
    const whole = JSON.parse(await readFile(path, 'utf8'));
    for (const [change, message] of [
      [{ version: 2 }, /version/],
      [{ dtype: 'u8' }, /u16 or u32/],
      [{ endOfText: 257 }, /endOfText/],
      [{ splits: {} }, /splits.train/],
      [{ splits: { ...whole.splits, train: { ...whole.splits.train, tokens: 5 } } }, /5 tokens together/],
      [
        { splits: { ...whole.splits, train: { ...whole.splits.train, documentsFile: '../x' } } },
        /name of a file/,
      ],
    ] as const) {
      await writeFile(path, JSON.stringify({ ...whole, ...change }));
      const opened = openTokenData(directory);
      await expect(opened).rejects.toMatchObject({ code: 'MODEL_FORMAT' });
      await expect(opened).rejects.toThrow(message);
    }
  });

  test("a vocabulary beyond the model's, an empty split, a directory without data", async () => {
    const { directory } = await prepared(texts);
    await expect(openTokenData(directory, { vocabSize: 256 })).rejects.toThrow(/vocabulary of 256.*257/);
    await (await openTokenData(directory, { vocabSize: 257 })).close();
    await expect(openTokenData(directory, { split: 'validation' })).rejects.toThrow(/got none/);
    await expect(openTokenData(scratch.path('nothing'))).rejects.toThrow(/prepareData/);
    await expect(openTokenData(directory, { vocabsize: 1 } as object)).rejects.toThrow(/vocabSize/);
  });

  test.skipIf(!existsSync('/dev/full'))('a full disk is a typed error, and leaves no dataset', async () => {
    for (const name of ['train-00000.bin', 'train-documents.bin']) {
      const full = newFolder();
      await mkdir(full);
      await symlink('/dev/full', join(full, name));
      const failed = prepared(texts, { out: full });
      await expect(failed).rejects.toMatchObject({ code: 'OUT_OF_MEMORY' });
      await expect(failed).rejects.toThrow(/ENOSPC/);
      expect(await readdir(full)).toEqual([]);
    }
  });

  test('a directory that has a dataset is left alone', async () => {
    const { directory } = await prepared(texts);
    await expect(prepared(texts, { out: directory })).rejects.toThrow(/remove it/);
    await (await openTokenData(directory)).close();
  });

  test('what fails or is cancelled leaves nothing', async () => {
    const out = newFolder();
    await expect(prepared([''], { out })).rejects.toThrow(/nothing is left of it/);
    expect(await readdir(out)).toEqual([]);
    const cancelled = new AbortController();
    const running = prepared(texts, { out, signal: cancelled.signal, onProgress: () => cancelled.abort() });
    await expect(running).rejects.toMatchObject({ name: 'AbortError' });
    expect(await readdir(out)).toEqual([]);
  });

  test('wrong options, and a tokenizer that does not do', async () => {
    await expect(prepared(texts, { validation: 1 })).rejects.toThrow(/share/);
    await expect(prepared(texts, { seed: -1 })).rejects.toThrow(/seed/);
    await expect(prepared(texts, { tokenizer: scratch.path('none') })).rejects.toThrow(/tokenizer.json/);
    await expect(prepared(texts, { endOfText: '</s>' })).rejects.toThrow(/added tokens/);
    await expect(prepared(texts, { out: '' })).rejects.toThrow(/out to be a path/);
    await expect(prepared(texts, { fields: 'x' } as object)).rejects.toThrow(/did you mean "field"/);
  });
});
