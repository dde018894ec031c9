import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type LoadOptions, loadTextModel, ModelFormatError, UnsupportedError } from '../../lib/index.js';
import { availableIsas } from '../../lib/testing.js';
import { type TensorSource, writeSafetensors } from '../../lib/weights/write_safetensors.js';
import type { OracleModel } from '../models/oracle.js';
import { randomModel, writeCheckpoint } from '../models/tiny_checkpoint.js';
import { withIsa } from '../with_isa.js';

const config = {
  model_type: 'llama',
  vocab_size: 50,
  hidden_size: 40, // a whole group and a short one
  intermediate_size: 70,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 64,
  tie_word_embeddings: true,
};
const q8Config = { quant_method: 'triga', format: 'q8', group_size: 32 };
const ids = [1, 7, 30, 2, 49, 11];
const matrix = 'model.layers.1.mlp.up_proj.weight';

/** A matrix by bytes and scales that are powers of two, and what they stand for. */
function quantized(shape: readonly [number, number], seed: number) {
  const [n, k] = shape;
  const groups = Math.ceil(k / 32);
  const bytes = Int8Array.from({ length: n * k }, (_, i) => ((i * 37 + seed * 11) % 255) - 127);
  // 2^-10 and 2^-11 as f16.
  const scales = Uint16Array.from({ length: n * groups }, (_, i) => (i % 2 ? 0x1400 : 0x1000));
  const values = Float32Array.from(bytes, (q, i) => {
    const group = Math.floor(i / k) * groups + Math.floor((i % k) / 32);
    return q * (group % 2 ? 2 ** -10 : 2 ** -11);
  });
  return { bytes, scales, values, groups };
}

const folders: string[] = [];
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));

/** A q8 directory of a model's tensors, after `change`. */
async function write(
  model: OracleModel,
  change: (tensors: TensorSource[]) => TensorSource[] = (t) => t,
  quantization: unknown = q8Config,
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'triga-q8-'));
  folders.push(folder);
  await writeFile(
    join(folder, 'config.json'),
    JSON.stringify({ ...config, quantization_config: quantization }),
  );
  const tensors = [...model.weights].flatMap(([name, { shape, data }], i): TensorSource[] => {
    if (shape.length !== 2) return [{ name, dtype: 'f32', shape, data }];
    const q = quantized(shape as unknown as [number, number], i);
    return [
      { name, dtype: 'i8', shape, data: q.bytes },
      { name: `${name}_scale`, dtype: 'f16', shape: [shape[0] as number, q.groups], data: q.scales },
    ];
  });
  await writeSafetensors(join(folder, 'model.safetensors'), change(tensors));
  return folder;
}

let model: OracleModel;
let stored: string;
let plain: string;
beforeAll(async () => {
  model = randomModel(config);
  stored = await write(model);
  // The same numbers as f32.
  const weights = new Map(
    [...model.weights].map(([name, { shape, data }], i) => [
      name,
      { shape, data: shape.length === 2 ? quantized(shape as never, i).values : data },
    ]),
  );
  plain = await writeCheckpoint({ config, weights } as OracleModel);
  folders.push(plain);
});

async function logits(directory: string, options: LoadOptions) {
  await using loaded = await loadTextModel(directory, options);
  return { weights: loaded.info.weights, data: (await loaded.logits(ids)).data };
}

describe.each(['reference', ...availableIsas()])('a q8 checkpoint on %s', (place) => {
  const run = (directory: string, weights: LoadOptions['weights']) =>
    place === 'reference'
      ? logits(directory, { device: 'reference', weights })
      : withIsa(place, () => logits(directory, { device: 'cpu', weights }));

  test('runs as stored, tied embeddings included', async () => {
    const got = await run(stored, 'stored');
    expect(got.weights).toBe('q8');
    expect(await run(stored, 'q8')).toEqual(got);
    expect(got.data.every(Number.isFinite)).toBe(true);
  });

  test.each(['f32', 'bf16'] as const)(
    'dequantized to %s it has the bits of the same numbers',
    async (weights) => {
      expect(await run(stored, weights)).toEqual(await run(plain, weights));
    },
  );
});

describe('malformed q8 checkpoints', () => {
  const load = (change: (tensors: TensorSource[]) => TensorSource[], device: LoadOptions['device'] = 'cpu') =>
    write(model, change).then((folder) => loadTextModel(folder, { device }));
  const swap = (name: string, by: Partial<TensorSource>) => (tensors: TensorSource[]) =>
    tensors.map((t) => (t.name === name ? { ...t, ...by } : t));

  test('scales that are missing', async () => {
    const loading = load((tensors) => tensors.filter((t) => t.name !== `${matrix}_scale`));
    await expect(loading).rejects.toBeInstanceOf(ModelFormatError);
    await expect(loading).rejects.toThrow(
      /layers\.1\.mlp\.up_proj\.weight": expected scales .*_scale.*no such tensor/,
    );
  });

  test('scales of another shape or type', async () => {
    const narrow = load(swap(`${matrix}_scale`, { shape: [70, 1], data: new Uint16Array(70) }));
    await expect(narrow).rejects.toThrow(
      /up_proj\.weight": expected scales .*f16\[70, 2\], got f16\[70, 1\]/,
    );
    const wide = load(swap(`${matrix}_scale`, { dtype: 'f32', data: new Float32Array(140) }));
    await expect(wide).rejects.toThrow(/expected scales .*got f32\[70, 2\]/);
  });

  test('a matrix of another shape', async () => {
    const bytes = { shape: [70, 41], data: new Int8Array(70 * 41) };
    await expect(load(swap(matrix, bytes))).rejects.toThrow(/up_proj\.weight.*expected shape \[70, 40\]/);
  });

  test.each([
    ['NaN', 0x7e00],
    ['infinity', 0x7c00],
    ['minus infinity', 0xfc00],
  ])('a scale of %s', async (_, bits) => {
    for (const device of ['cpu', 'reference'] as const) {
      for (const weights of ['stored', 'f32'] as const) {
        const scales = new Uint16Array(140);
        scales[2 * 33 + 1] = bits;
        const folder = await write(model, swap(`${matrix}_scale`, { data: scales }));
        const loading = loadTextModel(folder, { device, weights });
        await expect(loading).rejects.toBeInstanceOf(ModelFormatError);
        await expect(loading).rejects.toThrow(/up_proj\.weight": row 33: expected finite scales/);
      }
    }
  });

  test('weights that q8 cannot hold, on the way in', async () => {
    for (const device of ['cpu', 'reference'] as const) {
      for (const bad of [Number.NaN, Number.NEGATIVE_INFINITY, 1e8]) {
        const weights = new Map(
          [...model.weights].map(([name, t]) => [name, { ...t, data: t.data.slice() }]),
        );
        (weights.get(matrix) as { data: Float32Array }).data[17 * 40 + 39] = bad;
        const folder = await writeCheckpoint({ config, weights } as OracleModel);
        folders.push(folder);
        const loading = loadTextModel(folder, { device, weights: 'q8' });
        await expect(loading).rejects.toBeInstanceOf(ModelFormatError);
        await expect(loading).rejects.toThrow(/up_proj\.weight": row 17: expected finite weights/);
      }
    }
  });

  test('another quantization, or bytes that no configuration explains', async () => {
    for (const other of [
      { quant_method: 'gptq', bits: 4 },
      { ...q8Config, group_size: 64 },
      { ...q8Config, format: 'q4' },
    ]) {
      const folder = await write(model, (t) => t, other);
      await expect(loadTextModel(folder)).rejects.toBeInstanceOf(UnsupportedError);
      await expect(loadTextModel(folder)).rejects.toThrow(/quantization_config/);
    }
    const folder = await write(model, (t) => t, null);
    await expect(loadTextModel(folder)).rejects.toThrow(/expected floating point weights, got i8/);
  });
});
