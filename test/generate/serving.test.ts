import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type GenerateOptions,
  InvalidArgumentError,
  loadTextModel,
  OutOfMemoryError,
  type TextModel,
} from '../../lib/index.js';
import { availableIsas, loadWith } from '../../lib/testing.js';
import { randomModel, randomNumbers, writeCheckpoint } from '../models/tiny_checkpoint.js';
import { withIsa } from '../with_isa.js';
import { hasStories, stories, storyBegin } from './stories.js';

const vocabulary = 67;
const config = {
  model_type: 'llama',
  vocab_size: vocabulary,
  hidden_size: 40,
  intermediate_size: 60,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 256,
  rms_norm_eps: 1e-5,
  hidden_act: 'silu',
  tie_word_embeddings: true,
};
/** Bytes of a block of 16 positions: keys and values of 2 layers. */
const blockBytes = 2 * 2 * 16 * 2 * 10 * 4;

let directory: string;
beforeAll(async () => {
  directory = await writeCheckpoint(randomModel(config));
});
afterAll(() => rm(directory, { recursive: true }));

const random = randomNumbers(3);
const prompt = (length: number): number[] => Array.from({ length }, () => Math.floor(random() * vocabulary));
/** More than rows of any tile, with what makes rows differ. */
const requests: (GenerateOptions & { readonly prompt: number[] })[] = [
  { prompt: prompt(5), maxNewTokens: 30 },
  { prompt: prompt(70), maxNewTokens: 12, repetitionPenalty: 1.3 },
  { prompt: prompt(1), maxNewTokens: 40, temperature: 0.8, topP: 0.9, seed: 4 },
  { prompt: prompt(33), maxNewTokens: 20, noRepeatNgramSize: 2 },
  { prompt: prompt(129), maxNewTokens: 9, temperature: 1.2, topK: 9, seed: 5, numReturnSequences: 3 },
  { prompt: prompt(16), maxNewTokens: 25, frequencyPenalty: 0.5, presencePenalty: 0.2 },
  { prompt: prompt(17), maxNewTokens: 25, minP: 0.05, typicalP: 0.9, seed: 6 },
  { prompt: prompt(200), maxNewTokens: 30 },
];
const beamRequest = {
  prompt: prompt(20),
  maxNewTokens: 15,
  numBeams: 4,
  numReturnSequences: 2,
  eosTokenId: 7,
};

const start = (
  model: TextModel,
  { prompt: ids, ...options }: GenerateOptions & { readonly prompt: number[] },
) => model.generate(ids, { eosTokenId: [], ...('numBeams' in options ? {} : { logprobs: 5 }), ...options });

describe('batch invariance, end to end', () => {
  test.each(availableIsas())(
    'the same ids and log-probabilities alone and together, in any chunks (%s)',
    async (isa) => {
      await withIsa(isa, async () => {
        const all = [...requests, beamRequest];
        const alone: unknown[] = [];
        for (const request of all) {
          await using model = await loadWith(directory, { device: 'cpu' }, {});
          alone.push((await start(model, request)).sequences);
        }
        for (const [maxRows, prefillBesideDecode, threads] of [
          [512, 128, 2],
          [7, 3, 1],
          [33, 16, 3],
          [1, 1, 2],
        ] as const) {
          await using model = await loadWith(
            directory,
            { device: 'cpu', threads },
            { limits: { maxRows, prefillBesideDecode, burst: threads === 2 ? 1 : 5 } },
          );
          for (let again = 0; again < 2; again++) {
            const together = await Promise.all(all.map((request) => start(model, request)));
            expect(together.map(({ sequences }) => sequences)).toEqual(alone);
          }
        }
      });
    },
  );

  test('logits are the same whatever runs beside', async () => {
    await using model = await loadWith(
      directory,
      { device: 'cpu' },
      { limits: { maxRows: 9, prefillBesideDecode: 4, burst: 16 } },
    );
    const ids = prompt(100);
    const alone = await model.logits(ids);
    const running = requests.map((request) => start(model, request));
    expect(await model.logits(ids)).toEqual(alone);
    await Promise.all(running);
  });

  test('on the reference, too', async () => {
    await using model = await loadWith(
      directory,
      { device: 'reference' },
      { limits: { maxRows: 6, prefillBesideDecode: 4, burst: 16 }, kvBytes: 2 ** 18 },
    );
    const few = [requests[0], requests[3]].map((r) => ({
      ...(r as (typeof requests)[number]),
      maxNewTokens: 5,
    }));
    const alone: unknown[] = [];
    for (const request of few) alone.push((await start(model, request)).sequences);
    const together = await Promise.all(few.map((request) => start(model, request)));
    expect(together.map(({ sequences }) => sequences)).toEqual(alone);
  });
});

describe('the KV pool', () => {
  test('requests beyond it wait, and then finish', async () => {
    await using model = await loadWith(directory, { device: 'cpu' }, { kvBytes: blockBytes * 20 });
    const results = await Promise.all(
      Array.from({ length: 12 }, (_, i) => model.generate([i, 2, 3], { maxNewTokens: 100, eosTokenId: [] })),
    );
    for (const { tokens } of results) expect(tokens).toHaveLength(100);
  });

  test('a later small request waits its turn and gets it', async () => {
    await using model = await loadWith(directory, { device: 'cpu' }, { kvBytes: blockBytes * 17 });
    const order: string[] = [];
    const run = (name: string, maxNewTokens: number) =>
      model.generate([1, 2, 3], { maxNewTokens, eosTokenId: [] }).then(() => order.push(name));
    await Promise.all([run('large', 250), run('as large', 250), run('small', 2), run('smaller', 1)]);
    expect(order.indexOf('large')).toBe(0);
    expect(order).toHaveLength(4);
  });

  test('a request that can never fit names the limit', async () => {
    await using model = await loadWith(directory, { device: 'cpu' }, { kvBytes: blockBytes * 4 });
    const request = model.generate([1, 2, 3], { maxNewTokens: 100 });
    await expect(request).rejects.toBeInstanceOf(OutOfMemoryError);
    await expect(request).rejects.toThrow(/112 positions.*pool holds 64/);
    await expect(model.logits(prompt(65))).rejects.toBeInstanceOf(OutOfMemoryError);
    expect((await model.generate([1, 2, 3], { maxNewTokens: 61, eosTokenId: [] })).tokens).toHaveLength(61);
    expect((await model.logits(prompt(64))).shape).toEqual([64, vocabulary]);
  });

  test('too small for any request', async () => {
    const loading = loadWith(directory, { device: 'cpu' }, { kvBytes: 100 });
    await expect(loading).rejects.toBeInstanceOf(OutOfMemoryError);
    await expect(loading).rejects.toThrow(/100/);
  });

  test('logits wait for a full pool', async () => {
    await using model = await loadWith(directory, { device: 'cpu' }, { kvBytes: blockBytes * 6 });
    const running = model.generate([1], { maxNewTokens: 90, eosTokenId: [] });
    await new Promise((resolve) => setTimeout(resolve, 3));
    expect((await model.logits(prompt(40))).shape).toEqual([40, vocabulary]);
    await running;
  });

  test('prefixes are reused, reported, and change nothing', async () => {
    await using model = await loadTextModel(directory, { device: 'cpu' });
    const ids = prompt(100);
    const options = { maxNewTokens: 10, eosTokenId: [], logprobs: 3 };
    const cold = await model.generate(ids, options);
    const warm = await model.generate(ids, options);
    expect([cold.usage.cachedTokens, warm.usage.cachedTokens]).toEqual([0, 96]);
    expect(warm.sequences).toEqual(cold.sequences);
    const beams = { maxNewTokens: 10, eosTokenId: [], numBeams: 3 };
    const other = await model.generate([...ids.slice(0, 50), 1, 2], beams);
    expect(other.usage.cachedTokens).toBe(48);
    await using fresh = await loadTextModel(directory, { device: 'cpu' });
    expect((await fresh.generate([...ids.slice(0, 50), 1, 2], beams)).sequences).toEqual(other.sequences);
  });
});

describe('a directory without tokenizer.json', () => {
  test('takes ids and gives no text', async () => {
    await using model = await loadTextModel(directory);
    const request = model.generate([1, 2, 3], { maxNewTokens: 4, eosTokenId: [] });
    const tokens: number[] = [];
    for await (const piece of request) {
      expect(piece.text).toBe('');
      tokens.push(...piece.tokens);
    }
    expect(await request).toMatchObject({ text: '', tokens });
    await expect(model.generate('text')).rejects.toThrow(/tokenizer\.json/);
    await expect(model.generate([1], { stop: 'x' })).rejects.toThrow(/tokenizer\.json/);
    expect(() => model.tokenizer).toThrow(/tokenizer\.json/);
  });
});

describe('dispose', () => {
  const gone = async (call: PromiseLike<unknown>): Promise<void> => {
    await expect(call).rejects.toBeInstanceOf(InvalidArgumentError);
    await expect(call).rejects.toThrow(/disposed/);
  };

  test('ends what runs, is idempotent, and frees memory', async () => {
    const model = await loadTextModel(directory, { device: 'cpu' });
    const running = [
      model.generate([1, 2], { maxNewTokens: 250, eosTokenId: [] }),
      model.generate([3], { maxNewTokens: 250, eosTokenId: [] }),
    ];
    // From the first piece on, most of the run is still to come, however fast the machine is.
    await Promise.all(running.map((request) => request[Symbol.asyncIterator]().next()));
    const logits = model.logits(prompt(200));
    const first = model.dispose();
    expect(model.dispose()).toBe(first);
    for (const call of [...running, logits]) await gone(call);
    await first;
    await model[Symbol.asyncDispose]();
    await gone(model.generate([1]));
    await gone(model.logits([1]));
    expect(model.info.bytes).toBe(0);
  });

  test('in the turn of the call', async () => {
    const model = await loadTextModel(directory, { device: 'cpu' });
    const calls = [model.generate([1, 2]), model.logits([1])];
    void model.dispose();
    for (const call of calls) await gone(call);
  });

  test.skipIf(!hasStories)('while text is encoded or decoded', async () => {
    for (const wait of [0, 1, 4, 12]) {
      const model = await loadTextModel(stories, { device: 'cpu' });
      const { tokenizer } = model;
      const calls = [
        model.generate(storyBegin, { eosTokenId: [] }),
        model.generate(storyBegin, { stop: 'zebra', eosTokenId: [] }),
      ];
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
      await model.dispose();
      for (const call of calls) await gone(call);
      await expect(tokenizer.encode('x')).rejects.toBeInstanceOf(InvalidArgumentError);
    }
  });
});
