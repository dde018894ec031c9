// From raw text to a compressed model that writes, at toy size: by the command line, and by the API.
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  evaluateText,
  loadTextModel,
  prepareData,
  quantizeModel,
  train,
  trainTokenizer,
} from '../../lib/index.js';
import { triga } from '../cli/run_cli.js';
import { books, hasBooks } from '../data/books.js';
import { sentences, toyConfig } from './toy.js';

let folder: string;
const path = (name: string): string => join(folder, name);
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'triga-pipeline-'));
});
afterAll(() => rm(folder, { recursive: true }));

const vocabSize = 512;
const config = { ...toyConfig, vocab_size: vocabSize, hidden_size: 64, intermediate_size: 96 };

describe('raw text to a model', () => {
  test.skipIf(!hasBooks)('the command line, with books', { timeout: 120_000 }, async () => {
    const done = async (...args: string[]): Promise<Record<string, number>> => {
      const { code, stdout, stderr } = await triga([...args, '--json']);
      expect(stderr).not.toMatch(/triga:/);
      expect(code).toBe(0);
      return JSON.parse(stdout);
    };
    const model = path('cli/new');
    await done('tokenizer', 'train', ...books, '-o', model, '--vocab-size', String(vocabSize));
    await writeFile(join(model, 'config.json'), JSON.stringify(config));
    // Pieces of a book are documents of their own: a split needs several.
    await mkdir(path('cli/texts'));
    const text = books.map((book) => readFileSync(book, 'utf8')).join('\n');
    for (let i = 0; i * 20_000 < text.length; i++)
      writeFileSync(path(`cli/texts/${i}.md`), text.slice(i * 20_000, (i + 1) * 20_000));
    await done(
      'data',
      path('cli/texts'),
      '-o',
      path('cli/data'),
      '--tokenizer',
      model,
      '--validation',
      '0.1',
    );
    const trained = await done(
      ...['train', model, path('cli/data'), '-o', path('cli/model'), '--steps', '60', '--batch-size', '8'],
      ...['--context-length', '64', '--learning-rate', '0.005', '--evaluate-every', '30'],
    );
    expect(trained.loss).toBeLessThan(Math.log(vocabSize) - 1);
    expect(trained.validationBitsPerByte).toBeLessThan(4);
    await done('quantize', path('cli/model'), '-o', path('cli/q8'));
    await writeFile(path('cli/held.txt'), text.slice(5000, 9000));
    const stored = await done('eval', path('cli/model'), '--text', path('cli/held.txt'));
    const q8 = await done('eval', path('cli/q8'), '--text', path('cli/held.txt'));
    expect(stored.bitsPerByte).toBeLessThan(4);
    expect(Math.abs((q8.bitsPerByte as number) - (stored.bitsPerByte as number))).toBeLessThan(0.02);
    const told = await triga([
      'generate',
      path('cli/q8'),
      '-p',
      'It was ',
      '--temperature',
      '0.8',
      '--seed',
      '1',
    ]);
    expect(told).toMatchObject({ code: 0, stderr: '' });
    expect(told.stdout).toMatch(/[a-z]{2}/);
  });

  test('the API, with sentences of a grammar', { timeout: 120_000 }, async () => {
    await mkdir(path('texts'));
    for (let i = 0; i < 40; i++) await writeFile(path(`texts/${i}.txt`), sentences(60, i));
    const [tokenizer, data] = [path('tokenizer'), path('data')];
    const { vocabSize: size } = await trainTokenizer([path('texts')], {
      vocabSize: 300,
      out: tokenizer,
      repetition: false,
    });
    const { splits } = await prepareData([path('texts')], {
      tokenizer,
      out: data,
      validation: 0.1,
      repetition: false,
    });
    expect(splits.validation.documents).toBeGreaterThan(0);
    const trained = await train({ config: { ...config, vocab_size: size }, tokenizer }, data, {
      output: path('model'),
      steps: 80,
      batchSize: 8,
      contextLength: 64,
      learningRate: 5e-3,
      evaluateEvery: 40,
    });
    // Two bytes of three are forced by the grammar.
    expect(trained.validationBitsPerByte).toBeLessThan(1.2);
    await quantizeModel(path('model'), path('q8'));

    await using stored = await loadTextModel(path('model'));
    await using q8 = await loadTextModel(path('q8'));
    expect(q8.info.weights).toBe('q8');
    const held = sentences(60, 1000);
    const { bitsPerByte } = await evaluateText(stored, held);
    expect(bitsPerByte).toBeLessThan(1.5);
    expect(Math.abs((await evaluateText(q8, held)).bitsPerByte - bitsPerByte)).toBeLessThan(0.02);
    const { text } = await q8.generate('the old horse ', { maxNewTokens: 40 });
    const words = new Set(held.replaceAll('.', '').split(' '));
    const said = text.replaceAll('.', '').trim().split(' ').slice(0, -1);
    expect(said.filter((word) => words.has(word)).length / said.length).toBeGreaterThan(0.8);
  });
});
