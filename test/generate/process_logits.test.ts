import { describe, expect, test } from 'vitest';
import { type ProcessOptions, processLogits } from '../../lib/generate/process_logits.js';
import { type Golden, hasGolden, readGolden } from '../golden.js';

const golden = hasGolden('logits_processors');

interface Json {
  readonly bad_words_ids: number[][];
  readonly tensors: Record<string, { suggest_atol?: number }>;
}

const low = Number.NEGATIVE_INFINITY;

describe.skipIf(!golden)('golden logits processors (skipped where ../shared/golden is absent)', () => {
  const { json, tensors }: Partial<Golden<Json>> = golden ? readGolden<Json>('logits_processors') : {};
  const ids = Array.from({ length: 3 }, (_, r) =>
    Array.from(tensors?.input_ids?.data.subarray(9 * r, 9 * r + 9) ?? []),
  );
  const scores = tensors?.scores ?? { shape: [], data: new Float64Array() };

  test.each<[string, ProcessOptions]>([
    ['temperature_0.7', { temperature: 0.7 }],
    ['top_k_5', { topK: 5 }],
    ['top_p_0.8', { topP: 0.8 }],
    ['min_p_0.1', { minP: 0.1 }],
    ['typical_0.7', { typicalP: 0.7 }],
    ['repetition_1.3', { repetitionPenalty: 1.3 }],
    ['no_repeat_ngram_2', { noRepeatNgramSize: 2 }],
    ['no_repeat_ngram_3', { noRepeatNgramSize: 3 }],
    ['encoder_no_repeat_ngram_2', { encoderNoRepeatNgramSize: 2, promptLength: 5 }],
    ['bad_words', { badWordsIds: json?.bad_words_ids ?? [] }],
    ['suppress_3_6', { suppressTokens: [3, 6] }],
    ['suppress_at_begin_9', { beginSuppressTokens: [2, 8] }],
    ['forced_bos_5_at_len9', { forcedBosTokenId: 5 }],
    ['forced_eos_max10', { forcedEosTokenId: 4, maxNewTokens: 1 }],
    ['min_length_12_eos4', { minNewTokens: 3, eosTokenId: 4 }],
    ['min_new_tokens_3_prompt8_eos4', { minNewTokens: 3, eosTokenId: 4, promptLength: 8 }],
    ['chain_temp0.8_topk20_topp0.9', { temperature: 0.8, topK: 20, topP: 0.9 }],
  ])('%s', (name, options) => {
    const want = tensors?.[`out/${name}`]?.data ?? [];
    const { shape, data } = processLogits(ids, scores, options);
    const tolerance = json?.tensors[`out/${name}`]?.suggest_atol ?? 0;
    expect(shape).toEqual([3, 50]);
    expect(Array.from(data, (x) => x === low)).toEqual(Array.from(want, (x) => x === low));
    data.forEach((x, i) => {
      if (x !== low) expect(Math.abs(x - (want[i] as number))).toBeLessThanOrEqual(tolerance);
    });
  });

  test('one row of ids and scores gives what it gives among others', () => {
    const options = { repetitionPenalty: 1.3, topK: 7 };
    const all = processLogits(ids, scores, options).data;
    const one = processLogits(ids[1] as number[], scores.data.subarray(50, 100), options);
    expect(one.shape).toEqual([50]);
    expect(one.data).toEqual(all.subarray(50, 100));
  });
});

describe('processLogits', () => {
  const flat = [0, 0, 0, 0];

  test('the first token is forced after one start token, the last at the greatest length', () => {
    expect(Array.from(processLogits([1], [1, 2, 3], { forcedBosTokenId: 2 }).data)).toEqual([low, low, 0]);
    const last = {
      forcedEosTokenId: [0, 1],
      maxNewTokens: 3,
      minNewTokens: 3,
      eosTokenId: [0, 1],
      promptLength: 1,
    };
    expect(Array.from(processLogits([1, 2, 2], [1, 2, 3], last).data)).toEqual([0, 0, low]);
    expect(Array.from(processLogits([1, 2], [1, 2, 3], last).data)).toEqual([low, low, 3]);
  });

  test('a forced first token shifts the beginning', () => {
    const options = { beginSuppressTokens: [3], forcedBosTokenId: 2, promptLength: 1 };
    expect(processLogits([1], flat, options).data[3]).toBe(low);
    expect(processLogits([1, 2], flat, options).data[3]).toBe(low);
    expect(processLogits([1, 2, 2], flat, options).data[3]).toBe(0);
    expect(processLogits([1, 2], flat, { beginSuppressTokens: [3], promptLength: 1 }).data[3]).toBe(0);
  });

  test('a bad word that is one eos is no bad word', () => {
    expect(Array.from(processLogits([1], flat, { badWordsIds: [[0], [2]], eosTokenId: 0 }).data)).toEqual([
      0,
      0,
      low,
      0,
    ]);
  });

  test('presence and frequency count what was generated', () => {
    const options = { presencePenalty: 0.5, frequencyPenalty: 0.25, promptLength: 2 };
    expect(Array.from(processLogits([0, 0, 1, 1, 2], flat, options).data)).toEqual([0, -1, -0.75, 0]);
  });

  test('scores that do not fit the ids', () => {
    expect(() => processLogits([[1], [2]], [[1, 2, 3]])).toThrow(
      /expected scores of shape \[2, V\], got \[1, 3\]/,
    );
    expect(() => processLogits([1], flat, { promptLength: 2 })).toThrow(
      /promptLength within the 1 ids, got 2/,
    );
  });
});
