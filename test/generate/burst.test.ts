import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { GeneratePiece, GenerateRequest } from '../../lib/index.js';
import { availableIsas, loadWith } from '../../lib/testing.js';
import { randomModel, writeCheckpoint } from '../models/tiny_checkpoint.js';

const config = {
  model_type: 'llama',
  vocab_size: 67,
  hidden_size: 40,
  intermediate_size: 60,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 4096,
  rms_norm_eps: 1e-5,
  hidden_act: 'silu',
  tie_word_embeddings: true,
};

let directory: string;
beforeAll(async () => {
  directory = await writeCheckpoint(randomModel(config));
});
afterAll(() => rm(directory, { recursive: true }));

const limits = (burst: number) => ({ limits: { maxRows: 512, prefillBesideDecode: 128, burst } });
const greedy = { eosTokenId: [], doSample: false };

/** Waits until a request streams out of a burst: its first tokens come from single steps. */
async function underWay(request: GenerateRequest): Promise<void> {
  const pieces = request[Symbol.asyncIterator]();
  for (let tokens = 0; tokens < 20; ) tokens += ((await pieces.next()).value as GeneratePiece).tokens.length;
}

describe.each(['cpu', 'reference'] as const)('bursts on %s', (device) => {
  const load = (burst: number) => loadWith(directory, { device }, { ...limits(burst), kvBytes: 2 ** 22 });

  test('give what single steps give: ids, and log-probabilities to the bit', async () => {
    await using single = await load(1);
    await using bursts = await load(16);
    for (const options of [greedy, { eosTokenId: [], temperature: 0.9, seed: 7 }]) {
      const run = (model: typeof single) =>
        model.generate([3, 4, 5], { ...options, maxNewTokens: 40, logprobs: 2 });
      expect((await run(bursts)).sequences).toEqual((await run(single)).sequences);
    }
  });

  test('end at a stop id, at the length, and where pieces are counted one by one', async () => {
    await using model = await load(16);
    const { tokens } = await model.generate([3, 4, 5], { ...greedy, maxNewTokens: 30 });
    const stop = tokens[20] as number;
    const first = tokens.indexOf(stop);
    const stopped = await model.generate([3, 4, 5], { ...greedy, maxNewTokens: 30, stop: [stop] });
    expect(stopped.tokens).toEqual(tokens.slice(0, first + 1));
    expect(stopped.finishReason).toBe('stop');
    const streamed: number[] = [];
    for await (const piece of model.generate([3, 4, 5], { ...greedy, maxNewTokens: 23 }))
      streamed.push(...piece.tokens);
    expect(streamed).toEqual(tokens.slice(0, 23));
  });
});

describe.skipIf(availableIsas().length === 0)('a burst under way', () => {
  test('is cut short for a request that comes, however long it would be', async () => {
    await using model = await loadWith(directory, { device: 'cpu' }, limits(4096));
    let longEnded = false;
    const long = model.generate([1, 2], { ...greedy, maxNewTokens: 4000 });
    await underWay(long);
    const ended = long.then(() => {
      longEnded = true;
    });
    const { tokens } = await model.generate([3, 4, 5], { ...greedy, maxNewTokens: 1 });
    expect(tokens).toHaveLength(1);
    expect(longEnded).toBe(false);
    await ended;
  });

  test('is cut short by an abort, and leaves the others unchanged', async () => {
    await using model = await loadWith(directory, { device: 'cpu' }, limits(4096));
    const alone = await model.generate([9, 8, 7], { ...greedy, maxNewTokens: 300 });
    const abort = new AbortController();
    const other = model.generate([9, 8, 7], { ...greedy, maxNewTokens: 300 });
    const doomed = model.generate([1, 2], { ...greedy, maxNewTokens: 4000, signal: abort.signal });
    await underWay(doomed);
    abort.abort();
    await expect(doomed).rejects.toMatchObject({ name: 'AbortError' });
    expect((await other).tokens).toEqual(alone.tokens);
  });
});
