import { rm } from 'node:fs/promises';
import { afterAll, describe, expect, test } from 'vitest';
import { loadTextModel } from '../../lib/index.js';
import { availableIsas, loadWith } from '../../lib/testing.js';
import { withIsa } from '../with_isa.js';
import { type OracleModel, oracleGreedy, oracleLogits } from './oracle.js';
import { activationNames } from './oracle_activation.js';
import type { Json } from './oracle_rope.js';
import { type CheckpointOptions, randomModel, randomNumbers, writeCheckpoint } from './tiny_checkpoint.js';

const vocabulary = 83;

const gpt2: Json = {
  model_type: 'gpt2',
  vocab_size: vocabulary,
  n_embd: 36,
  n_head: 3,
  n_layer: 2,
  n_positions: 64,
  layer_norm_epsilon: 1e-4,
  activation_function: 'gelu_new',
};
const llama: Json = {
  model_type: 'llama',
  vocab_size: vocabulary,
  hidden_size: 40,
  intermediate_size: 52,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  hidden_act: 'silu',
  tie_word_embeddings: false,
};
const qwen2: Json = { ...llama, model_type: 'qwen2', rope_theta: 1e6, max_window_layers: 2 };
const qwen3: Json = { ...qwen2, model_type: 'qwen3', head_dim: 14 };
const mistral: Json = { ...llama, model_type: 'mistral', head_dim: 12, sliding_window: 5 };

const dynamic = { rope_type: 'dynamic', factor: 3 };
const yarn = { rope_type: 'yarn', factor: 4, beta_fast: 2, beta_slow: 0.2 };
const llama3 = {
  rope_type: 'llama3',
  factor: 8,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 32,
};
const scaled = (rope_scaling: Json, more: Json = {}): Json => ({ ...llama, ...more, rope_scaling });
/** Few frequencies turn within so short a context: these do. */
const fast = { rope_theta: 40 };

const cases: Readonly<Record<string, Json>> = {
  ...Object.fromEntries(
    activationNames.map((name) => [`gpt2 ${name}`, { ...gpt2, activation_function: name }]),
  ),
  'gpt2 n_inner': { ...gpt2, n_inner: 50 },
  'gpt2 scale_attn_weights false': { ...gpt2, scale_attn_weights: false },
  'gpt2 scale_attn_by_inverse_layer_idx': { ...gpt2, n_layer: 3, scale_attn_by_inverse_layer_idx: true },
  'gpt2 reorder_and_upcast_attn': {
    ...gpt2,
    reorder_and_upcast_attn: true,
    scale_attn_by_inverse_layer_idx: true,
  },
  'gpt2 both scales off and on': {
    ...gpt2,
    scale_attn_weights: false,
    scale_attn_by_inverse_layer_idx: true,
  },
  'gpt2 untied': { ...gpt2, tie_word_embeddings: false },
  llama,
  'llama tied': { ...llama, tie_word_embeddings: true },
  'llama attention_bias': { ...llama, attention_bias: true },
  'llama mlp_bias': { ...llama, mlp_bias: true },
  'llama both biases': { ...llama, attention_bias: true, mlp_bias: true },
  'llama one kv head': { ...llama, num_key_value_heads: 1 },
  'llama kv heads by default': { ...llama, num_key_value_heads: undefined },
  'llama head_dim': { ...llama, head_dim: 18 },
  'llama widths layer by layer': {
    ...llama,
    num_hidden_layers: 3,
    head_dim: 10,
    num_attention_heads: [4, 2, 6],
    num_key_value_heads: [2, 2, 1],
    intermediate_size: [52, 16, 7],
  },
  'qwen2 widths layer by layer': {
    ...qwen2,
    head_dim: 10,
    num_attention_heads: [1, 6],
    num_key_value_heads: [1, 3],
    intermediate_size: [9, 64],
  },
  'llama gelu': { ...llama, hidden_act: 'gelu' },
  'llama linear rope': scaled({ rope_type: 'linear', factor: 2.5 }),
  'llama linear rope, by its old name': scaled({ type: 'linear', factor: 4 }),
  'llama dynamic rope within its context': scaled(dynamic),
  'llama dynamic rope beyond its context': scaled(dynamic, { max_position_embeddings: 16 }),
  'llama llama3 rope': scaled(llama3, fast),
  'llama yarn': scaled(yarn, fast),
  'llama yarn of an original context': scaled({ ...yarn, original_max_position_embeddings: 16 }, fast),
  'llama yarn attention_factor': scaled({ ...yarn, attention_factor: 1.3 }, fast),
  'llama yarn mscale': scaled({ ...yarn, mscale: 1.4, mscale_all_dim: 0.6 }, fast),
  'llama yarn by default': scaled({ type: 'yarn', factor: 2 }, { max_position_embeddings: 4096 }),
  mistral,
  'mistral without window': { ...mistral, sliding_window: null },
  'mistral window beyond the prompt': { ...mistral, sliding_window: 40 },
  qwen2,
  'qwen2 tied': { ...qwen2, tie_word_embeddings: true },
  'qwen2 max_window_layers': { ...qwen2, use_sliding_window: true, sliding_window: 6, max_window_layers: 1 },
  'qwen2 sliding_window not used': {
    ...qwen2,
    use_sliding_window: false,
    sliding_window: 6,
    max_window_layers: 0,
  },
  'qwen2 layer_types': {
    ...qwen2,
    use_sliding_window: true,
    sliding_window: 6,
    layer_types: ['sliding_attention', 'full_attention'],
  },
  'qwen2 yarn': {
    ...qwen2,
    rope_theta: 40,
    rope_scaling: { type: 'yarn', factor: 4, original_max_position_embeddings: 16 },
  },
  qwen3,
  'qwen3 attention_bias': { ...qwen3, attention_bias: true },
  'qwen3 tied, windowed': {
    ...qwen3,
    tie_word_embeddings: true,
    use_sliding_window: true,
    sliding_window: 4,
    max_window_layers: 1,
  },
};

const random = randomNumbers(7);
const ids = Array.from({ length: 27 }, () => Math.floor(random() * vocabulary));
const newTokens = 9;

const logSoftmax = (logits: readonly number[]): number[] => {
  const top = Math.max(...logits);
  const logSum = top + Math.log(logits.reduce((s, x) => s + Math.exp(x - top), 0));
  return logits.map((x) => x - logSum);
};

const farthest = (got: ArrayLike<number>, want: readonly number[]): number =>
  want.reduce((most, w, i) => Math.max(most, Math.abs((got[i] ?? Number.NaN) - w)), 0);

const written: string[] = [];
const write = async (model: OracleModel, options?: CheckpointOptions): Promise<string> => {
  const directory = await writeCheckpoint(model, options);
  written.push(directory);
  return directory;
};
afterAll(async () => {
  for (const directory of written) await rm(directory, { recursive: true });
});

/** Logits of a whole text, and of each step of a greedy continuation whose prompt comes in chunks. */
async function check(model: OracleModel, directory: string, device: 'cpu' | 'reference'): Promise<void> {
  const limits = { maxRows: 10, prefillBesideDecode: 7, burst: 16 };
  await using loaded = await loadWith(directory, { device, weights: 'f32' }, { limits, kvBytes: 2 ** 20 });
  const { shape, data } = await loaded.logits(ids);
  expect(shape).toEqual([ids.length, vocabulary]);
  expect(farthest(data, oracleLogits(model, ids).flat())).toBeLessThan(1e-4);
  const want = oracleGreedy(model, ids, newTokens);
  const got = await loaded.generate(ids, { maxNewTokens: newTokens, eosTokenId: [], logprobs: vocabulary });
  expect(got.tokens).toEqual(want.tokens);
  got.sequences[0]?.logprobs?.forEach(({ top }, step) => {
    const row = logSoftmax(want.logits[step] as number[]);
    const order = top.map(({ token }) => row[token] as number);
    expect(
      farthest(
        top.map(({ logprob }) => logprob),
        order,
      ),
    ).toBeLessThan(1e-4);
  });
}

describe('against a float64 oracle', () => {
  test('the oracle tells the variants apart', () => {
    const flat = Object.values(cases).map(
      (config) => oracleLogits(randomModel(config), ids).at(-1) as number[],
    );
    for (const logits of flat) {
      const spread = Math.max(...logits) - Math.min(...logits);
      expect(spread).toBeGreaterThan(2);
      expect(spread).toBeLessThan(40);
    }
  });

  test.each(Object.entries(cases))('%s', async (_name, config) => {
    const model = randomModel(config);
    const directory = await write(model);
    await check(model, directory, 'reference');
    for (const isa of availableIsas()) await withIsa(isa, () => check(model, directory, 'cpu'));
  });
});

describe('names of tensors', () => {
  test("GPT-2's with and without prefix, with the buffers that carry nothing", async () => {
    const model = randomModel(gpt2);
    const mask = { shape: [1, 1, 4, 4], data: new Float32Array(16) };
    const weights = new Map([
      ...model.weights,
      ['transformer.h.0.attn.bias', mask],
      ['transformer.h.0.attn.masked_bias', mask],
    ]);
    const rename = (name: string): string => name.replace(/^transformer\./, '');
    for (const options of [{}, { rename }]) {
      const directory = await write({ ...model, weights }, options);
      await using loaded = await loadTextModel(directory, { weights: 'f32' });
      const { data } = await loaded.logits(ids);
      expect(farthest(data, oracleLogits(model, ids).flat())).toBeLessThan(1e-4);
    }
  });

  test('a tied checkpoint may hold lm_head too', async () => {
    const model = randomModel({ ...llama, tie_word_embeddings: true });
    const stray = { shape: [vocabulary, 40], data: new Float32Array(vocabulary * 40) };
    const directory = await write({
      ...model,
      weights: new Map([...model.weights, ['lm_head.weight', stray]]),
    });
    await using loaded = await loadTextModel(directory);
    const { data } = await loaded.logits(ids);
    expect(farthest(data, oracleLogits(model, ids).flat())).toBeLessThan(1e-4);
  });
});

describe('dynamic RoPE', () => {
  const config = scaled(dynamic, { max_position_embeddings: 24 });

  test('a text that grows beyond the context, and one that begins within it', async () => {
    const model = randomModel(config);
    const prompt = ids.slice(0, 20);
    const want = oracleGreedy(model, prompt, 12);
    await using loaded = await loadTextModel(await write(model), { weights: 'f32' });
    const options = { maxNewTokens: 12, eosTokenId: [] };
    for (let again = 0; again < 2; again++)
      expect((await loaded.generate(prompt, options)).tokens).toEqual(want.tokens);
    // What the first answer left in the cache was rotated for other lengths.
    const longer = [...prompt, ...want.tokens];
    expect((await loaded.generate(longer, options)).tokens).toEqual(oracleGreedy(model, longer, 12).tokens);
    expect((await loaded.generate(longer.slice(0, 28), options)).tokens).toEqual(
      oracleGreedy(model, longer.slice(0, 28), 12).tokens,
    );
  });

  test('several sequences of one prompt', async () => {
    const model = randomModel(config);
    await using loaded = await loadTextModel(await write(model), { weights: 'f32' });
    const options = { maxNewTokens: 10, temperature: 1e-4, eosTokenId: [], numReturnSequences: 3 };
    for (const prompt of [ids, ids.slice(0, 18)]) {
      const { sequences } = await loaded.generate(prompt, options);
      const want = oracleGreedy(model, prompt, 10).tokens;
      for (const { tokens } of sequences) expect(tokens).toEqual(want);
    }
  });

  test('no bound but memory', async () => {
    await using loaded = await loadTextModel(await write(randomModel(config)));
    const { finishReason, tokens } = await loaded.generate(ids, { maxNewTokens: 40, eosTokenId: [] });
    expect([finishReason, tokens.length]).toEqual(['length', 40]);
  });
});
