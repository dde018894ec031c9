import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { GenerateOptions } from '../../lib/generate/options.js';
import { randomNumbers } from '../models/tiny_checkpoint.js';
import { type FakeModel, fakeContinuation, fakeModel } from './fake_model.js';
import { generation, never, settled, text, tokensOf } from './fake_requests.js';

/** One random request, and what becomes of it. */
async function randomRequest(model: FakeModel, random: () => number, encodes: boolean): Promise<void> {
  const below = (n: number): number => Math.floor(random() * n);
  const prompt = [...text(below(4) * 16, below(2)), ...text(1 + below(20), below(5))];
  const maxNewTokens = 1 + below(24);
  const kind = below(4);
  const numReturnSequences = kind === 1 ? 2 + below(2) : 1;
  const call: GenerateOptions = {
    maxNewTokens,
    ...(kind === 1 ? { temperature: 1, numReturnSequences, seed: 1 } : {}),
    ...(kind === 2 ? { numBeams: 2 + below(2) } : {}),
  };
  const source = encodes ? text(1 + below(60), below(7)) : undefined;
  const made = generation(prompt, call, { shared: random() < 0.8, ...(source ? { source } : {}) });
  const abort = new AbortController();
  const aborted = random() < 0.4;
  for (let n = below(40); n > 0; n--) await turn();
  const run = model.scheduler.run(made, abort.signal);
  if (aborted) {
    for (let n = below(30); n > 0; n--) await turn();
    abort.abort();
  }
  const error: unknown = await run.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error !== undefined) {
    expect(aborted).toBe(true);
    expect(error).toMatchObject({ name: 'AbortError' });
  } else if (kind !== 2) {
    expect(tokensOf(made)).toEqual(
      Array.from({ length: numReturnSequences }, (_, i) => fakeContinuation(prompt, maxNewTokens, i, source)),
    );
  } else {
    const alone = generation(prompt, call, source ? { source } : {});
    await fakeModel({ blocks: 64 }).scheduler.run(alone, never());
    expect(made.outcome.sequences).toEqual(alone.outcome.sequences);
  }
}

test.each(Array.from({ length: 60 }, (_, seed) => seed))(
  'whatever is aborted, results hold and all blocks come back (%i; with an encoder from 40 on)',
  async (seed) => {
    const random = randomNumbers(seed);
    const limits = {
      maxRows: 1 + Math.floor(random() * 40),
      prefillBesideDecode: 1 + Math.floor(random() * 12),
      burst: 1 + Math.floor(random() * 6),
    };
    const model = fakeModel({ blocks: 26, limits, turns: () => Math.floor(random() * 3) });
    await Promise.all(Array.from({ length: 24 }, () => randomRequest(model, random, seed >= 40)));
    await settled(model);
    expect(model.pool.available).toBe(26);
  },
);
