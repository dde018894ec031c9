import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { prepareData } from '../../lib/data/prepare_data.js';
import type { NewModel } from '../../lib/train/trainable_model.js';
import { putByteTokenizer } from '../data/tiny_tokenizer.js';
import { generator } from '../random.js';

/** A model that trains in a moment. Its vocabulary is that of the byte tokenizer. */
export const toyConfig = {
  model_type: 'llama',
  vocab_size: 257,
  hidden_size: 32,
  intermediate_size: 48,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  hidden_act: 'silu',
  tie_word_embeddings: true,
} as const;

/** Sentences of a small grammar: a text that there is something to learn of, made by a seed. */
export function sentences(count: number, seed: number): string {
  const next = generator(seed);
  const pick = (words: readonly string[]): string => words[Math.floor(next() * words.length)] as string;
  const noun = (): string =>
    `${pick(['the', 'a', 'one'])} ${pick(['old', 'red', 'quiet', 'small'])} ${pick(['horse', 'ship', 'town', 'river', 'boy'])}`;
  return Array.from(
    { length: count },
    () => `${noun()} ${pick(['sees', 'follows', 'leaves', 'finds'])} ${noun()}.`,
  ).join(' ');
}

export interface Toy {
  /** A path in the folder of the tests of a file. */
  path(name: string): string;
  /** Directory with the byte tokenizer. */
  readonly tokenizer: string;
  /** Prepared data: texts of several documents, a fifth of them for validation. */
  readonly data: string;
  readonly model: NewModel;
}

/** A folder for the tests of a file, with a tokenizer and data. */
export function toy(): Toy {
  let folder = '';
  const path = (name: string): string => join(folder, name);
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'triga-train-'));
    await putByteTokenizer(path('tokenizer'));
    await mkdir(path('texts'));
    for (let i = 0; i < 20; i++) await writeFile(path(`texts/${i}.txt`), sentences(12 + i, i));
    await prepareData([path('texts')], {
      tokenizer: path('tokenizer'),
      out: path('data'),
      validation: 0.2,
      repetition: false,
    });
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  return {
    path,
    get tokenizer() {
      return path('tokenizer');
    },
    get data() {
      return path('data');
    },
    get model() {
      return { config: toyConfig, tokenizer: path('tokenizer') };
    },
  };
}

/** The bytes of a trained model's weights. */
export const weightsOf = (directory: string): Buffer => readFileSync(join(directory, 'model.safetensors'));
