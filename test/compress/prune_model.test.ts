import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keepLargest } from '../../lib/compress/prune_model.js';
import { loadTextModel, type PruneOptions, pruneModel, quantizeModel } from '../../lib/index.js';
import { type OracleModel, oracleLogits, type Stored } from '../models/oracle.js';
import { randomModel, writeCheckpoint } from '../models/tiny_checkpoint.js';

const ids = [1, 7, 30, 2, 49, 11];
const config = {
  model_type: 'qwen2', // whose q, k and v have biases
  vocab_size: 50,
  hidden_size: 40,
  intermediate_size: 96,
  num_hidden_layers: 3,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  head_dim: 6,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-6,
  rope_theta: 10000,
  hidden_act: 'silu',
  tie_word_embeddings: true,
};
/** What is smallest in each layer of the model below. */
const weakGroups = [[1], [0, 3], []];
const weakChannels = [[5, 90], [], [0, 1, 2, 40]];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'triga-prune-'));
});
afterAll(() => rm(folder, { recursive: true }));

type Weights = Map<string, Stored>;

/** Multiplies the weights of heads and channels, rows of some matrices and columns of one. */
function scale(
  weights: Weights,
  layer: number,
  groups: readonly number[],
  channels: readonly number[],
  by: number,
) {
  const change = (name: string, of: (n: number, k: number) => boolean): void => {
    const { shape, data } = weights.get(`model.layers.${layer}.${name}`) as Stored;
    const k = shape[1] ?? 1;
    data.forEach((x, i) => {
      if (of(Math.floor(i / k), i % k)) data[i] = x * by;
    });
  };
  const inGroup = (size: number) => (n: number) => groups.includes(Math.floor(n / size));
  for (const part of ['weight', 'bias']) {
    change(`self_attn.q_proj.${part}`, inGroup(12));
    change(`self_attn.k_proj.${part}`, inGroup(6));
    change(`self_attn.v_proj.${part}`, inGroup(6));
  }
  change('self_attn.o_proj.weight', (_, k) => inGroup(12)(k));
  for (const name of ['gate', 'up']) change(`mlp.${name}_proj.weight`, (n) => channels.includes(n));
  change('mlp.down_proj.weight', (_, k) => channels.includes(k));
}

function weakened(by: number): OracleModel {
  const model = randomModel(config);
  weakGroups.forEach((groups, i) => {
    scale(model.weights as Weights, i, groups, weakChannels[i] ?? [], by);
  });
  return model;
}

async function logitsOf(directory: string, device: 'cpu' | 'reference'): Promise<Float32Array> {
  await using model = await loadTextModel(directory, { device });
  return (await model.logits(ids)).data as Float32Array;
}

test('what is smallest goes, and what is left computes as if that were nothing', async () => {
  const from = await writeCheckpoint(weakened(1e-6));
  const to = join(folder, 'pruned');
  const result = await pruneModel(from, to, { heads: 0.25, mlp: 6 / 288 });
  expect(result.kvHeads).toEqual([3, 2, 4]);
  expect(result.heads).toEqual([6, 4, 8]);
  expect(result.mlpDim).toEqual([96, 96, 96]); // whole steps of 16 stay
  expect(result.bytes).toBeLessThan(result.bytesBefore);
  expect(JSON.parse(await readFile(join(to, 'config.json'), 'utf8'))).toMatchObject({
    num_attention_heads: [6, 4, 8],
    num_key_value_heads: [3, 2, 4],
    intermediate_size: 96,
    head_dim: 6,
  });
  const want = oracleLogits(weakened(0), ids).flat();
  for (const device of ['cpu', 'reference'] as const) {
    const got = await logitsOf(to, device);
    got.forEach((x, i) => {
      expect(Math.abs(x - (want[i] as number))).toBeLessThan(1e-4);
    });
  }
  await rm(from, { recursive: true });
});

test('channels go in steps of 16', async () => {
  const model = randomModel(config);
  const weak = Array.from({ length: 20 }, (_, i) => 3 * i);
  scale(model.weights as Weights, 1, [], weak, 1e-6);
  const from = await writeCheckpoint(model);
  const { mlpDim, heads } = await pruneModel(from, join(folder, 'mlp'), { mlp: 20 / 288 });
  expect({ mlpDim, heads }).toEqual({ mlpDim: [96, 80, 96], heads: [8, 8, 8] });
  scale(model.weights as Weights, 1, [], weak, 0);
  const want = oracleLogits(model, ids).flat();
  const got = await logitsOf(join(folder, 'mlp'), 'cpu');
  got.forEach((x, i) => {
    expect(Math.abs(x - (want[i] as number))).toBeLessThan(1e-4);
  });
  await rm(from, { recursive: true });
});

test('a pruned model can be pruned again, and quantized', async () => {
  const from = await writeCheckpoint(randomModel(config));
  const [once, twice, q8] = ['once', 'twice', 'q8'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const first = await pruneModel(from, once, { heads: 0.3, mlp: 0.3 });
  const second = await pruneModel(once, twice, { heads: 0.3, mlp: 0.3 });
  expect(second.bytes).toBeLessThan(first.bytes);
  await quantizeModel(twice, q8);
  expect((await logitsOf(q8, 'cpu')).every(Number.isFinite)).toBe(true);
  await expect(pruneModel(q8, join(folder, 'never'))).rejects.toThrow(/is quantized already/);
  await rm(from, { recursive: true });
});

test('each layer keeps a unit, whatever its weights', () => {
  expect(keepLargest([[1, 2, 3], [9, 8], [7]], 0.9, 1)).toEqual([[2], [0], [0]]);
  expect(
    keepLargest(
      [
        [1, 4],
        [3, 2],
      ],
      0.5,
      1,
    ),
  ).toEqual([[1], [0]]);
  expect(keepLargest([[1, 2, 3]], 0, 2)).toEqual([[0, 1, 2]]); // no whole steps: all stay
  expect(keepLargest([[5, 1, 6, 2, 4]], 0.6, 2)).toEqual([[0, 2]]);
});

describe('wrong calls', () => {
  test.each<[object, RegExp]>([
    [{ heads: 1 }, /expected heads to be a share from 0 to less than 1, got 1/],
    [{ mlp: -0.1 }, /expected mlp to be a share/],
    [{ mlp: '0.5' }, /expected mlp to be a share/],
    [{ head: 0.5 }, /did you mean "heads"/],
  ])('%j', async (options, message) => {
    const call = pruneModel('nowhere', folder, options as PruneOptions);
    await expect(call).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(call).rejects.toThrow(message);
  });

  test('another family', async () => {
    const gpt2 = { model_type: 'gpt2', vocab_size: 50, n_embd: 24, n_head: 3, n_layer: 2, n_positions: 64 };
    const from = await writeCheckpoint(randomModel(gpt2));
    await expect(pruneModel(from, folder)).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    await rm(from, { recursive: true });
  });
});
