import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HashSet } from '../../lib/data/hash_set.js';
import { permute } from '../../lib/data/permute.js';
import { TokenData } from '../../lib/data/token_data.js';

/** Tokens 0, 1, 2, … of documents that begin at these positions. */
function counting(tokens: number, starts: readonly number[] = [0]): TokenData {
  const facts = {
    name: 'test',
    tokens,
    documents: starts.length,
    bytes: tokens,
    vocabSize: tokens,
    endOfText: 0,
  };
  const source = {
    read(start: number, target: Int32Array) {
      if (start < 0 || start + target.length > tokens) throw new Error(`read of ${start}, ${target.length}`);
      target.forEach((_, i) => {
        target[i] = start + i;
      });
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  };
  return new TokenData({ ...facts, tokenizerSha256: '' }, source, Float64Array.from(starts));
}

describe('permute', () => {
  test('is a permutation of any size', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2000 }), fc.integer(), (size, key) => {
        const to = Array.from({ length: size }, (_, i) => permute(i, size, [key]));
        expect(new Set(to).size).toBe(size);
        expect(Math.min(...to)).toBe(0);
        expect(Math.max(...to)).toBe(size - 1);
      }),
    );
  });

  test('moves things about, differently for each key, and in large ranges', () => {
    const order = (key: number): number[] => Array.from({ length: 1000 }, (_, i) => permute(i, 1000, [key]));
    expect(order(1)).not.toEqual(order(2));
    const kept = order(1).filter((to, i) => to === i + 1 || to === i).length;
    expect(kept).toBeLessThan(12);
    const size = 2 ** 49 + 12345;
    const large = Array.from({ length: 1000 }, (_, i) => permute(i, size, [7]));
    expect(new Set(large).size).toBe(1000);
    expect(large.every((to) => Number.isSafeInteger(to) && to >= 0 && to < size)).toBe(true);
    expect(Math.max(...large)).toBeGreaterThan(0.99 * size);
  });
});

describe('TokenData.batches', () => {
  test('an epoch has each of its windows once, and the next one others', async () => {
    const batches = counting(1005).batches({ contextLength: 10, batchSize: 9, seed: 4 });
    expect(batches).toMatchObject({ windowsPerEpoch: 99, stepsPerEpoch: 11 });
    const epoch = async (number: number): Promise<number[]> => {
      const firsts: number[] = [];
      for (let step = 0; step < 11; step++) {
        const { ids, epoch: of } = await batches.batch(11 * number + step);
        expect(of).toBe(number);
        for (let row = 0; row < 9; row++) {
          const tokens = [...ids.subarray(11 * row, 11 * row + 11)];
          expect(tokens).toEqual(Array.from({ length: 11 }, (_, i) => (tokens[0] as number) + i));
          firsts.push(tokens[0] as number);
        }
      }
      return firsts;
    };
    const [first, second] = [await epoch(0), await epoch(1)];
    for (const firsts of [first, second]) {
      const sorted = firsts.toSorted((a, b) => a - b);
      expect(sorted).toEqual(Array.from({ length: 99 }, (_, i) => (sorted[0] as number) + 10 * i));
    }
    expect(second).not.toEqual(first);
    expect(Math.min(...first) === Math.min(...second)).toBe(false);
  });

  test('is a pure function of seed and step: any step again, alone', async () => {
    const options = { contextLength: 7, batchSize: 3, seed: 2 ** 40 + 1 };
    const data = counting(500, [0, 20, 21, 300]);
    const steps = await Promise.all([5, 90, 0, 5].map((step) => data.batches(options).batch(step)));
    expect(steps[0]).toEqual(steps[3]);
    expect(await counting(500, [0, 20, 21, 300]).batches(options).batch(90)).toEqual(steps[1]);
    const other = await data.batches({ ...options, seed: 1 }).batch(5);
    expect(other.ids).not.toEqual(steps[0]!.ids);
  });

  test('tells where documents begin, at both ends of a row too', async () => {
    const data = counting(31, [0, 5, 10, 13, 20, 30]);
    const batches = data.batches({ contextLength: 10, batchSize: 3, shuffle: false });
    const { ids, documentStarts } = await batches.batch(0);
    expect([ids[0], ids[11], ids[22]]).toEqual([0, 10, 20]);
    expect(documentStarts.map((starts) => [...starts])).toEqual([
      [0, 5, 10],
      [0, 3, 10],
      [0, 10],
    ]);
  });

  test('reads within the data for any sizes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 2, max: 300 }),
        fc.integer({ min: 1, max: 299 }),
        fc.integer({ min: 1, max: 8 }),
        fc.boolean(),
        async (tokens, context, batchSize, shuffle) => {
          fc.pre(context < tokens);
          const batches = counting(tokens).batches({ contextLength: context, batchSize, shuffle });
          expect(batches.windowsPerEpoch).toBeGreaterThan(0);
          for (let step = 0; step < 5; step++) await batches.batch(step * step);
        },
      ),
    );
  });

  test('wrong options throw', async () => {
    const data = counting(100);
    expect(() => data.batches({ contextLength: 100, batchSize: 1 })).toThrow(/more than 100 tokens/);
    expect(() => data.batches({ contextLength: 0, batchSize: 1 })).toThrow(/contextLength/);
    expect(() => data.batches({ contextLength: 5, batchSize: 1, sed: 1 } as never)).toThrow(/"seed"/);
    const batches = data.batches({ contextLength: 5, batchSize: 1 });
    await expect(batches.batch(-1)).rejects.toThrow(/step/);
    await expect(batches.batch(0, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      name: 'AbortError',
    });
    await expect(data.read(99, 2)).rejects.toThrow(/count/);
  });
});

test('HashSet knows what it has seen, as it grows', () => {
  const set = new HashSet();
  const hashes = Uint32Array.from(
    { length: 4 * 5000 },
    (_, i) => Math.imul(i + 1, 0x9e3779b1) >>> (i % 4 === 0 ? 20 : 0),
  );
  for (let round = 0; round < 2; round++)
    for (let at = 0; at < hashes.length; at += 4) expect(set.add(hashes, at)).toBe(round === 0);
});
