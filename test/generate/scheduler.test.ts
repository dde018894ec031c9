import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { InvalidArgumentError, OutOfMemoryError } from '../../lib/errors.js';
import { blocksFor } from '../../lib/generate/kv_pool.js';
import { fakeContinuation, fakeModel } from './fake_model.js';
import { generation, type Made, never, settled, text, tokensOf } from './fake_requests.js';

describe('steps', () => {
  test('requests of one turn share them, prompts in chunks beside those that decode', async () => {
    const model = fakeModel({ blocks: 64, limits: { maxRows: 20, prefillBesideDecode: 6, burst: 1 } });
    const short = generation(text(4), { maxNewTokens: 9 });
    const long = generation(text(30, 1), { maxNewTokens: 2 });
    await Promise.all([model.scheduler.run(short, never()), model.scheduler.run(long, never())]);
    expect(tokensOf(short)).toEqual([fakeContinuation(text(4), 9)]);
    expect(tokensOf(long)).toEqual([fakeContinuation(text(30, 1), 2)]);
    expect(model.steps.slice(0, 5)).toEqual([
      [4, 16],
      [1, 6],
      [1, 6],
      [1, 2],
      [1, 1],
    ]);
    await settled(model);
    expect(model.pool.available).toBe(64);
  });

  test('more sequences than rows take turns', async () => {
    const model = fakeModel({ blocks: 64, limits: { maxRows: 2, prefillBesideDecode: 2, burst: 4 } });
    const ends: number[] = [];
    const made = Array.from({ length: 4 }, (_, i) => generation([i], { maxNewTokens: 8 }));
    await Promise.all(made.map((g, i) => model.scheduler.run(g, never()).then(() => ends.push(i))));
    made.forEach((g, i) => {
      expect(tokensOf(g)).toEqual([fakeContinuation([i], 8)]);
    });
    // Each of four gets every other step: nobody is through before all are nearly so.
    expect(model.steps.length).toBe(16);
    expect([...ends].sort()).toEqual([0, 1, 2, 3]);
    await settled(model);
  });

  test('a later short request does not wait for a long one', async () => {
    const model = fakeModel({ blocks: 64 });
    const ends: string[] = [];
    const run = (name: string, made: Made): Promise<unknown> =>
      model.scheduler.run(made, never()).then(() => ends.push(name));
    await Promise.all([
      run('long', generation(text(40), { maxNewTokens: 200 })),
      run('short', generation(text(9), { maxNewTokens: 3 })),
    ]);
    expect(ends).toEqual(['short', 'long']);
  });

  test.each([1, 2, 3, 5, 64])('beams and sequences in steps of %i rows', async (maxRows) => {
    const results: unknown[] = [];
    for (const limits of [
      { maxRows: 512, prefillBesideDecode: 128, burst: 16 },
      { maxRows, prefillBesideDecode: maxRows, burst: 1 },
    ]) {
      const model = fakeModel({ blocks: 128, limits });
      const made = [
        generation(text(21), { maxNewTokens: 20, numBeams: 4, numReturnSequences: 2 }),
        generation(text(35), { maxNewTokens: 12, temperature: 1, numReturnSequences: 3, seed: 1 }),
        generation(text(3), { maxNewTokens: 9, numBeams: 3, eosTokenId: 7 }),
      ];
      await Promise.all(made.map((g) => model.scheduler.run(g, never())));
      results.push(made.map((g) => g.outcome.sequences));
      expect(tokensOf(made[1] as Made)).toEqual([0, 1, 2].map((i) => fakeContinuation(text(35), 12, i)));
      await settled(model);
      expect(model.pool.available).toBe(128);
    }
    expect(results[1]).toEqual(results[0]);
  });
});

describe('an encoder', () => {
  const limits = { maxRows: 40, prefillBesideDecode: 12, burst: 4 };
  const answer = (prompt: readonly number[], count: number, source: readonly number[]): number[] =>
    fakeContinuation(prompt, count, 0, source);

  test('runs once for each request, whole sources together, and before its first token', async () => {
    const model = fakeModel({ blocks: 64, limits });
    const sources = [text(18), text(20, 1), text(8, 2), text(9, 3), text(50, 4), text(3)];
    const made = sources.map((source) => generation([1], { maxNewTokens: 6 }, { source }));
    await Promise.all(made.map((g) => model.scheduler.run(g, never())));
    made.forEach((g, i) => {
      expect(tokensOf(g)).toEqual([answer([1], 6, sources[i] as number[])]);
    });
    // As many as a step holds, then as many rows as prompts have beside those that decode, and what is larger than that alone.
    expect(model.encodings).toEqual([
      { rows: [18, 20], after: 0 },
      { rows: [8], after: 1 },
      { rows: [9], after: 2 },
      { rows: [50], after: 3 },
      { rows: [3], after: 4 },
    ]);
    await settled(model);
    expect(model.pool.available).toBe(64);
  });

  test('serves all beams and sequences of a request', async () => {
    const model = fakeModel({ blocks: 64, limits });
    const source = text(40);
    const several = generation([1], { maxNewTokens: 5, temperature: 1, numReturnSequences: 3 }, { source });
    const beams = generation([1], { maxNewTokens: 20, numBeams: 4 }, { source });
    await Promise.all([several, beams].map((g) => model.scheduler.run(g, never())));
    expect(tokensOf(several)).toEqual([0, 1, 2].map((i) => fakeContinuation([1], 5, i, source)));
    expect(model.encodings.flatMap(({ rows }) => rows)).toEqual([40, 40]);
    await settled(model);
    expect(model.pool.available).toBe(64);
  });

  test('counts in what a request is promised, and in what is refused', async () => {
    for (const call of [{ numBeams: 3 }, { temperature: 1, numReturnSequences: 2 }]) {
      const [without, counted] = [{}, { source: text(40) }].map(
        (more) => generation([1], call, more).maxBlocks,
      );
      expect(Number(counted) - Number(without)).toBe(3);
    }
    const model = fakeModel({ blocks: 4 });
    const refused = model.scheduler.run(generation([1], { maxNewTokens: 15 }, { source: text(49) }), never());
    await expect(refused).rejects.toThrow(/80 positions.*holds 64/);
    const made = [0, 1, 2].map((i) => generation([1], { maxNewTokens: 20 }, { source: text(30, i) }));
    await Promise.all(made.map((g) => model.scheduler.run(g, never())));
    expect(model.encodings).toHaveLength(3);
    expect(tokensOf(made[2] as Made)).toEqual([answer([1], 20, text(30, 2))]);
    await settled(model);
    expect(model.pool.available).toBe(4);
  });

  test('that fails, fails those whose sources it read and nobody else', async () => {
    let encodings = 0;
    const model = fakeModel({
      blocks: 64,
      limits,
      fail: (run) => (run === 'encoding' && encodings++ === 1 ? new Error('broken') : undefined),
    });
    const sources = [text(30), text(35, 1), text(38, 2)];
    const made = sources.map((source) => generation([1], { maxNewTokens: 6 }, { source }));
    const ends = await Promise.allSettled(made.map((g) => model.scheduler.run(g, never())));
    expect(ends.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    for (const i of [0, 2])
      expect(tokensOf(made[i] as Made)).toEqual([answer([1], 6, sources[i] as number[])]);
    await settled(model);
    expect(model.pool.available).toBe(64);
  });

  test('that runs for one request alone is cut short by its abort', async () => {
    const model = fakeModel({ blocks: 8, limits, turns: () => 50 });
    const abort = new AbortController();
    const run = model.scheduler.run(generation([1], { maxNewTokens: 6 }, { source: text(30) }), abort.signal);
    await turn();
    abort.abort();
    await expect(run).rejects.toMatchObject({ name: 'AbortError' });
    await settled(model);
    expect([model.encodings, model.steps]).toEqual([[], []]);
    expect(model.pool.available).toBe(8);
  });
});

describe('a pool that is full', () => {
  test('requests wait in the order of the calls, and then finish', async () => {
    const model = fakeModel({ blocks: 6 });
    const starts: number[] = [];
    const made = Array.from({ length: 5 }, (_, i) =>
      generation(
        text(20, i),
        { maxNewTokens: 20 },
        {
          onToken: () => {
            if (!starts.includes(i)) starts.push(i);
          },
        },
      ),
    );
    await Promise.all(made.map((g) => model.scheduler.run(g, never())));
    expect(starts).toEqual([0, 1, 2, 3, 4]);
    made.forEach((g, i) => {
      expect(tokensOf(g)).toEqual([fakeContinuation(text(20, i), 20)]);
    });
    await settled(model);
    expect(model.pool.available).toBe(6);
  });

  test('a small request does not overtake a large one that waits', async () => {
    const model = fakeModel({ blocks: 8 });
    const ends: string[] = [];
    const run = (name: string, made: Made): Promise<unknown> =>
      model.scheduler.run(made, never()).then(() => ends.push(name));
    await Promise.all([
      run('first', generation(text(20), { maxNewTokens: 20 })),
      run('large', generation(text(90, 3), { maxNewTokens: 4 })),
      run('small', generation(text(2), { maxNewTokens: 2 })),
    ]);
    expect(ends[0]).toBe('first');
  });

  test('what can never fit is refused, naming the limit', async () => {
    const model = fakeModel({ blocks: 4 });
    const refused = model.scheduler.run(generation(text(60), { maxNewTokens: 40 }), never());
    await expect(refused).rejects.toBeInstanceOf(OutOfMemoryError);
    await expect(refused).rejects.toThrow(/112 positions.*holds 64/);
    const fits = generation(text(10), { maxNewTokens: 20 });
    await model.scheduler.run(fits, never());
    expect(tokensOf(fits)).toEqual([fakeContinuation(text(10), 20)]);
  });

  test('beams keep to what they were promised', async () => {
    const model = fakeModel({ blocks: 24 });
    const beams = (): Made => generation(text(10), { maxNewTokens: 40, numBeams: 4 });
    const made = [
      beams(),
      generation(text(30, 2), { maxNewTokens: 60 }),
      beams(),
      generation(text(9, 2), { maxNewTokens: 99 }),
    ];
    const seen: number[] = [];
    const watch = setInterval(() => seen.push(model.pool.available), 0);
    await Promise.all(made.map((g) => model.scheduler.run(g, never())));
    clearInterval(watch);
    expect(tokensOf(made[0] as Made)).toEqual(tokensOf(made[2] as Made));
    await settled(model);
    expect(model.pool.available).toBe(24);
    for (const available of seen) expect(available).toBeLessThanOrEqual(24);
  });

  test('sequences of one prompt keep to it though another request computes the same', async () => {
    for (const shared of [true, false]) {
      const several = (): Made =>
        generation(
          text(50),
          { maxNewTokens: 30, temperature: 1, numReturnSequences: 3, seed: 1 },
          { shared },
        );
      const blocks = several().maxBlocks + blocksFor(51);
      const model = fakeModel({ blocks, limits: { maxRows: 32, prefillBesideDecode: 8, burst: 3 } });
      const abort = new AbortController();
      const other = model.scheduler.run(generation(text(50), { maxNewTokens: 1 }, { shared }), abort.signal);
      const made = several();
      const run = model.scheduler.run(made, never());
      const later = generation(text(60, 9), { maxNewTokens: 30 });
      const then = model.scheduler.run(later, never());
      await Promise.resolve();
      abort.abort();
      await expect(other).rejects.toMatchObject({ name: 'AbortError' });
      await Promise.all([run, then]);
      expect(tokensOf(made)).toEqual([0, 1, 2].map((i) => fakeContinuation(text(50), 30, i)));
      await settled(model);
      expect(model.pool.available).toBe(blocks);
    }
  });
});

describe('prefixes', () => {
  test('are computed once, and reported', async () => {
    const model = fakeModel({ blocks: 64 });
    const cached: number[] = [];
    for (const prompt of [text(50), text(50), [...text(40), 3, 4]]) {
      const made = generation(prompt, { maxNewTokens: 3 });
      await model.scheduler.run(made, never());
      expect(tokensOf(made)).toEqual([fakeContinuation(prompt, 3)]);
      cached.push(made.outcome.cachedTokens);
    }
    expect(cached).toEqual([0, 48, 32]);
  });

  test('of a text that goes on', async () => {
    const model = fakeModel({ blocks: 64 });
    const first = generation(text(20), { maxNewTokens: 30 });
    await model.scheduler.run(first, never());
    const longer = [...text(20), ...(tokensOf(first)[0] as number[]), 1, 2];
    const second = generation(longer, { maxNewTokens: 5 });
    await model.scheduler.run(second, never());
    expect(second.outcome.cachedTokens).toBe(48);
    expect(tokensOf(second)).toEqual([fakeContinuation(longer, 5)]);
  });
});

describe('failure', () => {
  test('of a step fails its requests, and the next go on', async () => {
    let broken: Error | undefined = new InvalidArgumentError('broken');
    const model = fakeModel({ blocks: 16, fail: () => broken });
    const runs = [1, 2].map((i) => model.scheduler.run(generation(text(9, i), { maxNewTokens: 3 }), never()));
    for (const run of runs) await expect(run).rejects.toThrow('broken');
    broken = undefined;
    const made = generation(text(9), { maxNewTokens: 3 });
    await model.scheduler.run(made, never());
    expect(tokensOf(made)).toEqual([fakeContinuation(text(9), 3)]);
    await settled(model);
    expect(model.pool.available).toBe(16);
  });

  test('exclusive work runs between steps, and its failure is its own', async () => {
    const model = fakeModel({ blocks: 16, turns: () => 1 });
    const run = model.scheduler.run(generation(text(9), { maxNewTokens: 20 }), never());
    await turn();
    expect(await model.scheduler.exclusive(() => Promise.resolve(7), 0, never())).toBe(7);
    const broken = model.scheduler.exclusive(() => Promise.reject(new Error('mine')), 0, never());
    await expect(broken).rejects.toThrow('mine');
    await run;
    expect(await model.scheduler.exclusive(() => Promise.resolve(8), 0, never())).toBe(8);
  });

  test('exclusive work waits for its blocks, and later requests for it', async () => {
    const model = fakeModel({ blocks: 4 });
    const order: string[] = [];
    const run = (name: string): Promise<unknown> =>
      model.scheduler.run(generation(text(9), { maxNewTokens: 20 }), never()).then(() => order.push(name));
    const work = (name: string) => (): Promise<unknown> => Promise.resolve(order.push(name));
    const first = run('first');
    await turn();
    const abort = new AbortController();
    const all = [
      first,
      model.scheduler.exclusive(work('exclusive'), 4, abort.signal),
      run('second'),
      model.scheduler.exclusive(work('small'), 0, abort.signal),
    ];
    await Promise.all(all);
    expect(order).toEqual(['first', 'exclusive', 'small', 'second']);
    const refused = model.scheduler.exclusive(work('large'), 5, never());
    await expect(refused).rejects.toBeInstanceOf(OutOfMemoryError);
  });

  test('exclusive work that is aborted does not wait', async () => {
    const model = fakeModel({ blocks: 4, turns: () => 1 });
    const abort = new AbortController();
    const order: string[] = [];
    const run = model.scheduler
      .run(generation(text(9), { maxNewTokens: 40 }), never())
      .then(() => order.push('run'));
    await turn();
    const work = model.scheduler.exclusive(() => Promise.resolve(order.push('exclusive')), 4, abort.signal);
    abort.abort();
    await Promise.all([run, work]);
    expect(order).toEqual(['exclusive', 'run']);
  });
});
