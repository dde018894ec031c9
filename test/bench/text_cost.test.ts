import { describe, expect, test } from 'vitest';
import { decodeBytes, mainType, promptOps, textCost } from '../../lib/bench/text_cost.js';
import type { DType } from '../../lib/dtype.js';
import { textFamilyOf } from '../../lib/models/registry.js';
import { buildTextGraph } from '../../lib/models/text_graph.js';
import { configReader } from '../../lib/weights/config.js';

const costOf = (config: Record<string, unknown>, dtypeOf: (name: string) => DType = () => 'bf16') => {
  const reader = configReader(config, 'config.json');
  const family = textFamilyOf(reader);
  return textCost(
    buildTextGraph(family, family.readConfig(reader), { output: 'logits', dtypeOf, blocks: 1 }),
  );
};

const layers = 3;
const [C, F, V] = [64, 96, 1000];
const [heads, kvHeads, D] = [4, 2, 16];
const llama = {
  model_type: 'llama',
  hidden_size: C,
  intermediate_size: F,
  num_hidden_layers: layers,
  num_attention_heads: heads,
  num_key_value_heads: kvHeads,
  vocab_size: V,
};
/** Weights of a layer's linears. */
const layer = C * heads * D + 2 * C * kvHeads * D + heads * D * C + 3 * C * F;
const kvBytes = 2 * kvHeads * D * 4;
const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

describe('bytes that decoding reads', () => {
  test('weights once a step, whatever the batch; the cache of each sequence as it grows; no embedding', () => {
    const cost = costOf(llama);
    for (const batch of [1, 3]) {
      const contexts = range(10).map((i) => 7 + i + 1);
      const want = 10 * 2 * (layers * layer + V * C) + batch * layers * kvBytes * sum(contexts);
      expect(decodeBytes(cost, { prompt: 7, tokens: 10, batch })).toBe(want);
    }
  });

  test('a tied output layer is read all the same', () => {
    const size = { prompt: 5, tokens: 1, batch: 1 };
    expect(decodeBytes(costOf({ ...llama, tie_word_embeddings: true }), size)).toBe(
      decodeBytes(costOf(llama), size),
    );
  });

  test('by the type of each weight', () => {
    const mixed = costOf(llama, (name) => (name === 'lm_head.weight' ? 'f32' : 'bf16'));
    const all = costOf(llama);
    const size = { prompt: 5, tokens: 2, batch: 1 };
    expect(decodeBytes(mixed, size) - decodeBytes(all, size)).toBe(2 * 2 * V * C);
    expect(mainType(mixed)).toBe('bf16');
    expect(mainType(costOf(llama, () => 'f32'))).toBe('f32');
  });

  test('a window bounds what is read', () => {
    const cost = costOf({ ...llama, model_type: 'mistral', sliding_window: 12 });
    const contexts = range(10).map((i) => Math.min(12, 7 + i + 1));
    const want = 10 * 2 * (layers * layer + V * C) + layers * kvBytes * sum(contexts);
    expect(decodeBytes(cost, { prompt: 7, tokens: 10, batch: 1 })).toBe(want);
  });
});

describe('operations of a prompt', () => {
  const pairs = (tokens: number, window: number): number =>
    sum(range(tokens).map((i) => range(i + 1).filter((j) => i - j < window).length));

  test.each([1, 2, 40])('of %s tokens: the output layer for the last alone', (tokens) => {
    const attention = 4 * heads * D * pairs(tokens, 1e9);
    const want = layers * (2 * layer * tokens + attention) + 2 * V * C;
    expect(promptOps(costOf(llama), tokens)).toBe(want);
  });

  test('a window bounds the pairs', () => {
    const cost = costOf({ ...llama, model_type: 'mistral', sliding_window: 12 });
    const want = layers * (2 * layer * 40 + 4 * heads * D * pairs(40, 12)) + 2 * V * C;
    expect(promptOps(cost, 40)).toBe(want);
  });

  test('of GPT-2, whose q, k and v are one projection', () => {
    const cost = costOf({
      model_type: 'gpt2',
      vocab_size: V,
      n_positions: 64,
      n_embd: C,
      n_layer: 2,
      n_head: 4,
    });
    const want = 2 * (2 * 12 * C * C * 9 + 4 * C * pairs(9, 1e9)) + 2 * V * C;
    expect(promptOps(cost, 9)).toBe(want);
  });
});
