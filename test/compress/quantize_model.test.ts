import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadTextModel, type QuantizeOptions, quantizeModel } from '../../lib/index.js';
import { openCheckpoint } from '../../lib/weights/checkpoint.js';
import type { OracleModel } from '../models/oracle.js';
import { randomModel, writeCheckpoint } from '../models/tiny_checkpoint.js';

const ids = [1, 7, 30, 2, 49, 11];
const llama = {
  model_type: 'llama',
  vocab_size: 50,
  hidden_size: 40, // a whole group and a short one
  intermediate_size: 70,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 64,
};
const models = {
  llama,
  'llama, tied': { ...llama, tie_word_embeddings: true },
  'gpt2, whose matrices are stored transposed': {
    model_type: 'gpt2',
    vocab_size: 50,
    n_embd: 40,
    n_head: 4,
    n_layer: 2,
    n_positions: 64,
  },
};

let folder: string;
let plain: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'triga-quantize-'));
  plain = await writeCheckpoint(randomModel(llama));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
  await rm(plain, { recursive: true });
});

async function run(directory: string, device: 'cpu' | 'reference', weights: 'stored' | 'q8') {
  await using model = await loadTextModel(directory, { device, weights });
  return { weights: model.info.weights, data: (await model.logits(ids)).data };
}

describe.each(Object.entries(models))('%s', (name, config) => {
  test('runs as it is written, to the bits that weights: "q8" gives for the original', async () => {
    const original = await writeCheckpoint(randomModel(config));
    const to = join(folder, name);
    const progress: number[] = [];
    const result = await quantizeModel(original, to, {
      onProgress: ({ loaded, total }) => progress.push(loaded / total),
    });
    expect(result.files.toSorted()).toEqual((await readdir(to)).sort());
    expect(progress.at(-1)).toBe(1);
    const { bytes } = await openCheckpoint(to);
    expect(result.bytes).toBe(bytes);
    expect(result.bytes).toBeLessThan(result.bytesBefore / 2.5);
    for (const device of ['cpu', 'reference'] as const) {
      const got = await run(to, device, 'stored');
      expect(got).toEqual(await run(original, device, 'q8'));
      expect(got.weights).toBe('q8');
    }
    await rm(original, { recursive: true });
  });
});

test('what it wrote, it does not quantize again', async () => {
  const to = join(folder, 'once');
  await quantizeModel(plain, to);
  await expect(quantizeModel(to, join(folder, 'twice'))).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: expect.stringContaining('is quantized already'),
  });
});

test("a model's own directory is not written to", async () => {
  const before = await readFile(join(plain, 'config.json'), 'utf8');
  await expect(quantizeModel(plain, join(plain, '.'))).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: expect.stringContaining("other than the model's own"),
  });
  expect(await readFile(join(plain, 'config.json'), 'utf8')).toBe(before);
});

test.each([Number.NaN, Number.NEGATIVE_INFINITY, 1e8])(
  'a weight of %d is told of, and no file is left',
  async (bad) => {
    const model = randomModel(llama);
    const matrix = 'model.layers.1.mlp.up_proj.weight';
    (model.weights.get(matrix) as { data: Float32Array }).data[17 * 40 + 39] = bad;
    const from = await writeCheckpoint(model as OracleModel);
    const to = await mkdtemp(join(folder, 'bad-'));
    await expect(quantizeModel(from, to)).rejects.toMatchObject({
      code: 'MODEL_FORMAT',
      message: expect.stringMatching(/up_proj\.weight": row 17: expected finite weights/),
    });
    expect(await readdir(to)).toEqual([]);
    await rm(from, { recursive: true });
  },
);

test('options that are wrong, and a signal', async () => {
  const to = join(folder, 'never');
  const call = (options: object) => quantizeModel(plain, to, options as QuantizeOptions);
  await expect(call({ weights: 'q4' })).rejects.toThrow(/expected weights to be one of q8, got "q4"/);
  await expect(call({ weight: 'q8' })).rejects.toThrow(/did you mean "weights"/);
  await expect(quantizeModel('', to)).rejects.toThrow(/expected source to be a path/);
  await expect(call({ signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' });
  expect(await readdir(folder)).not.toContain('never');
});
