import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadKind } from '../../lib/generate/load_text_model.js';
import {
  type GenerateOptions,
  InvalidArgumentError,
  type LoadOptions,
  loadSeq2SeqModel,
  OutOfMemoryError,
  type Seq2SeqModel,
} from '../../lib/index.js';
import type { Tensor } from '../../lib/tensor.js';
import { availableIsas, hiddenStates } from '../../lib/testing.js';
import { randomModel, randomNumbers, writeCheckpoint } from '../models/tiny_checkpoint.js';
import { withIsa } from '../with_isa.js';

const vocabulary = 67;
const config = {
  model_type: 'blenderbot',
  is_encoder_decoder: true,
  vocab_size: vocabulary,
  d_model: 40,
  encoder_layers: 3,
  encoder_attention_heads: 5,
  encoder_ffn_dim: 52,
  decoder_layers: 2,
  decoder_attention_heads: 4,
  decoder_ffn_dim: 60,
  max_position_embeddings: 160,
  activation_function: 'gelu',
  scale_embedding: true,
  tie_word_embeddings: false, // tied ones would repeat the last token
  decoder_start_token_id: 1,
  encoder_no_repeat_ngram_size: 0,
  forced_eos_token_id: null,
};
/** Bytes of a block: keys and values of 2 layers, and those that pass through it in the encoder. */
const blockBytes = 3 * 2 * 16 * 40 * 4;

let directory: string;
beforeAll(async () => {
  directory = await writeCheckpoint(randomModel(config));
});
afterAll(() => rm(directory, { recursive: true }));

type Internals = Parameters<typeof loadKind>[3];
const load = async (options: LoadOptions, internals: Internals = {}): Promise<Seq2SeqModel> =>
  (await loadKind({ where: 'test', kind: 'seq2seq' }, directory, options, internals)) as Seq2SeqModel;

const random = randomNumbers(5);
const ids = (length: number): number[] => Array.from({ length }, () => Math.floor(random() * vocabulary));
type Request = GenerateOptions & { readonly source: number[] };
/** Sources from one row to more than a step holds, with all that makes rows differ. */
const requests: readonly Request[] = [
  { source: ids(5), maxNewTokens: 30 },
  { source: ids(70), maxNewTokens: 12, repetitionPenalty: 1.3 },
  { source: ids(1), maxNewTokens: 40, temperature: 0.8, topP: 0.9, seed: 4 },
  { source: ids(33), maxNewTokens: 20, encoderNoRepeatNgramSize: 2 },
  { source: ids(129), maxNewTokens: 9, temperature: 1.2, topK: 9, seed: 5, numReturnSequences: 3 },
  { source: ids(16), maxNewTokens: 25, frequencyPenalty: 0.5, presencePenalty: 0.2 },
  { source: ids(160), maxNewTokens: 159 },
  { source: ids(20), maxNewTokens: 15, numBeams: 4, numReturnSequences: 2, eosTokenId: 7 },
];
const start = (model: Seq2SeqModel, { source, ...options }: Request) =>
  model.generate(source, {
    eosTokenId: [],
    ...(options.numBeams === undefined ? { logprobs: 5 } : {}),
    ...options,
  });

describe('requests of different lengths together', () => {
  test.each(availableIsas())('have the bits that each has alone (%s)', async (isa) => {
    await withIsa(isa, async () => {
      const alone: unknown[] = [];
      for (const request of requests) {
        await using model = await load({ device: 'cpu' });
        alone.push((await start(model, request)).sequences);
      }
      for (const [maxRows, prefillBesideDecode, threads] of [
        [512, 128, 2],
        [7, 3, 1],
        [200, 40, 3],
      ] as const) {
        const limits = { maxRows, prefillBesideDecode, burst: threads === 2 ? 1 : 5 };
        await using model = await load({ device: 'cpu', threads }, { limits });
        for (let again = 0; again < 2; again++) {
          const together = await Promise.all(requests.map((request) => start(model, request)));
          expect(together.map(({ sequences }) => sequences)).toEqual(alone);
        }
      }
    });
  });

  test.each(['reference', 'onnx'] as const)('give the same tokens on %s', async (device) => {
    await using cpu = await load({ device: 'cpu' });
    await using model = await load({ device });
    const few = requests.filter((_, i) => i < 4 || i === 7).map((r) => ({ ...r, maxNewTokens: 6 }));
    const [want, got] = await Promise.all(
      [cpu, model].map((m) => Promise.all(few.map((r) => start(m, { ...r, eosTokenId: 7 })))),
    );
    expect(got?.map(({ tokens }) => tokens)).toEqual(want?.map(({ tokens }) => tokens));
  });

  test('logits have the bits that they have alone', async () => {
    await using model = await load({ device: 'cpu' });
    const [source, target] = [ids(90), ids(50)];
    const alone = await model.logits(source, target);
    const running = requests.map((request) => start(model, request));
    expect(await model.logits(source, target)).toEqual(alone);
    await Promise.all(running);
  });
});

describe('logits and states', () => {
  test.each(['f32', 'bf16', 'q8'] as const)(
    'of cpu and onnx are those of the reference (%s)',
    async (weights) => {
      await using reference = await load({ device: 'reference', weights });
      // More rows of the decoder than of the source, and the other way round.
      for (const [source, target] of [
        [ids(3), ids(40)],
        [ids(75), ids(2)],
      ] as const) {
        const want = await reference.logits(source, target);
        expect(want.shape).toEqual([target.length, vocabulary]);
        const norm = Math.hypot(...want.data.map(Number));
        for (const device of ['cpu', 'onnx'] as const) {
          await using model = await load({ device, weights });
          expect(model.info.weights).toBe(weights);
          const got = await model.logits(source, target);
          const difference = Math.hypot(...got.data.map((x, i) => Number(x) - Number(want.data[i])));
          expect(difference / norm, device).toBeLessThan(weights === 'f32' ? 1e-5 : 3e-2);
        }
      }
    },
  );

  test('the encoder sees all of the source, the decoder what came before and all of the source', async () => {
    await using model = await load({ device: 'cpu' });
    const [source, target] = [ids(40), ids(5)];
    const other = [...source.slice(0, -1), ((source.at(-1) as number) + 1) % vocabulary];
    const begin = ({ data }: Tensor): number[] => Array.from(data.subarray(0, 40), Number);
    const [encoded, encodedOther] = [await hiddenStates(model, source), await hiddenStates(model, other)];
    expect([encoded.length, encoded[0]?.shape]).toEqual([4, [40, 40]]);
    expect(begin(encoded[0] as Tensor)).toEqual(begin(encodedOther[0] as Tensor));
    expect(begin(encoded[1] as Tensor)).not.toEqual(begin(encodedOther[1] as Tensor));
    const states = (read: number[], write: number[]) => hiddenStates(model, read, write);
    const decoded = await states(source, target);
    expect([decoded.length, decoded[0]?.shape]).toEqual([3, [5, 40]]);
    const last = begin(decoded[2] as Tensor);
    expect(begin((await states(other, target))[2] as Tensor)).not.toEqual(last);
    expect(begin((await states(source, [target[0] as number, 3]))[2] as Tensor)).toEqual(last);
  });

  test('change with the source, also where the decoder has the same ids', async () => {
    await using model = await load({ device: 'cpu' });
    const options = { maxNewTokens: 40, eosTokenId: [], logprobs: 1 };
    const [a, b] = [ids(30), ids(30)];
    const first = await model.generate(a, options);
    const second = await model.generate(b, options);
    expect(second.sequences).not.toEqual(first.sequences);
    // Nothing is left of a source where blocks are used again.
    expect((await model.generate(a, options)).sequences).toEqual(first.sequences);
    expect(second.usage).toEqual({ promptTokens: 30, completionTokens: 40, cachedTokens: 0 });
  });
});

describe('memory of a request', () => {
  test('a model that does not fit is refused before a weight is read', async () => {
    const read: number[] = [];
    const loading = load(
      { device: 'cpu', onProgress: ({ loaded }) => read.push(loaded) },
      { memory: { bytes: 2 ** 16, of: 'this test' } },
    );
    await expect(loading).rejects.toBeInstanceOf(OutOfMemoryError);
    await expect(loading).rejects.toThrow(/this test/);
    expect(read).toEqual([]);
  });

  test('is counted: what can never fit is refused, what fits waits', async () => {
    await using model = await load({ device: 'cpu' }, { kvBytes: blockBytes * 6 });
    const refused = model.generate(ids(49), { maxNewTokens: 47 });
    await expect(refused).rejects.toBeInstanceOf(OutOfMemoryError);
    await expect(refused).rejects.toThrow(/112 positions.*pool holds 96/);
    await expect(model.logits(ids(60), ids(40))).rejects.toBeInstanceOf(OutOfMemoryError);
    const results = await Promise.all(
      Array.from({ length: 6 }, () => model.generate(ids(40), { maxNewTokens: 47, eosTokenId: [] })),
    );
    for (const { tokens } of results) expect(tokens).toHaveLength(47);
    for (let again = 0; again < 3; again++)
      expect((await model.logits(ids(40), ids(40))).shape).toEqual([40, vocabulary]);
  });

  test('comes back, whenever a request is aborted', async () => {
    await using model = await load({ device: 'cpu' }, { kvBytes: blockBytes * 12 });
    for (let round = 0; round < 40; round++) {
      const abort = new AbortController();
      const calls = [
        model.generate(ids(100), { maxNewTokens: 70, eosTokenId: [], signal: abort.signal }),
        model.generate(ids(20), { maxNewTokens: 30, numBeams: 2, signal: abort.signal }),
      ];
      const ends = Promise.allSettled(calls);
      await new Promise((resolve) => setTimeout(resolve, round / 8));
      abort.abort();
      for (const end of await ends)
        if (end.status === 'rejected') expect(end.reason).toMatchObject({ name: 'AbortError' });
    }
    // All of it.
    const whole = await model.generate(ids(100), { maxNewTokens: 79, eosTokenId: [] });
    expect(whole.tokens).toHaveLength(79);
  });
});

describe('as with text models', () => {
  test('a stream has the tokens of the result, and ends with its abort', async () => {
    await using model = await load({ device: 'cpu' });
    const request = model.generate(ids(20), { maxNewTokens: 20, eosTokenId: [] });
    const tokens: number[] = [];
    for await (const piece of request) tokens.push(...piece.tokens);
    expect((await request).tokens).toEqual(tokens);
    const abort = new AbortController();
    const aborted = model.generate(ids(20), { maxNewTokens: 150, eosTokenId: [], signal: abort.signal });
    await expect(async () => {
      for await (const _ of aborted) abort.abort();
    }).rejects.toMatchObject({ name: 'AbortError' });
  });

  test('the end of the decoder’s positions ends the text', async () => {
    await using model = await load({ device: 'cpu' });
    const { tokens, finishReason } = await model.generate(ids(160), { maxNewTokens: 500, eosTokenId: [] });
    expect([tokens.length, finishReason]).toEqual([159, 'length']);
  });

  test('dispose ends what runs, and frees memory', async () => {
    const model = await loadSeq2SeqModel(directory, { device: 'cpu' });
    const running = model.generate(ids(150), { maxNewTokens: 150, eosTokenId: [] });
    const logits = model.logits(ids(150), ids(150));
    const ends = Promise.allSettled([running, logits]);
    await model.dispose();
    for (const end of await ends)
      expect(end.status === 'rejected' && end.reason).toBeInstanceOf(InvalidArgumentError);
    expect(model.info.bytes).toBe(0);
  });
});
