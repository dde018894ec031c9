import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadTextModel, type TextModel } from '../../lib/index.js';
import { largeModel } from './checkpoints.js';
import { limit } from './limit.js';
import { type LoopDelay, measureLoop } from './loop_delay.js';

/** Runs work and says how late the event loop was meanwhile. */
async function during(work: () => Promise<unknown>): Promise<LoopDelay> {
  const stop = measureLoop();
  await work();
  return stop();
}

function expectFree({ p99, max, worst }: LoopDelay): void {
  expect(max, `longest delay; the worst: ${worst}`).toBeLessThan(limit(50));
  expect(p99, `99th percentile of delays; the worst: ${worst}`).toBeLessThan(limit(10));
}

describe('the event loop is free (no turn 50 ms late, 99 of 100 less than 10 ms)', () => {
  let directory: string;
  let model: TextModel | undefined;
  const loaded = (): TextModel => model ?? expect.unreachable('the model did not load');

  beforeAll(async () => {
    directory = await largeModel();
  });
  afterAll(() => model?.dispose());

  test('while a checkpoint of 1.2 GB loads, with a tokenizer of 151,669 words', async () => {
    expectFree(
      await during(async () => {
        model = await loadTextModel(directory, { device: 'cpu' });
      }),
    );
    expect(loaded().info.parameters).toBe(596_049_920);
  });

  test('while eight requests generate at once and stream their text', async () => {
    const request = async (i: number): Promise<number> => {
      const prompt = `Request number ${i}: tell me a story about the sea. `.repeat(1 + i);
      const sampling = i % 2 ? { temperature: 0.8, topP: 0.9, seed: i } : {};
      let tokens = 0;
      for await (const piece of loaded().generate(prompt, { maxNewTokens: 32, eosTokenId: [], ...sampling }))
        tokens += piece.tokens.length;
      return tokens;
    };
    expectFree(
      await during(async () => {
        const counts = await Promise.all(Array.from({ length: 8 }, (_, i) => request(i)));
        expect(counts).toEqual(new Array(8).fill(32));
      }),
    );
  });

  test('while the logits of 200 tokens are computed and put together: 122 MB', async () => {
    expectFree(
      await during(async () => {
        const { shape } = await loaded().logits(Array.from({ length: 200 }, (_, i) => 7 * i));
        expect(shape).toEqual([200, 151_936]);
      }),
    );
  });

  test('while the model is disposed', async () => {
    const { max } = await during(() => loaded().dispose());
    expect(max).toBeLessThan(limit(50)); // too short for percentiles
  });
});
