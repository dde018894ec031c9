import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ArenaRequest, planArena } from '../../lib/plan/arena.js';
import { bucketOf, bucketsOf } from '../../lib/plan/buckets.js';

const request: fc.Arbitrary<ArenaRequest> = fc
  .tuple(fc.nat(20), fc.nat(8), fc.oneof(fc.nat(300), fc.constantFrom(0, 1, 64, 4096)))
  .map(([first, length, bytes]) => ({ first, last: first + length, bytes }));

describe('arena', () => {
  test('blocks in use at the same time never overlap, lie on cache lines and within the arena', () => {
    fc.assert(
      fc.property(fc.array(request, { maxLength: 40 }), (requests) => {
        const { offsets, bytes } = planArena(requests);
        expect(offsets).toHaveLength(requests.length);
        requests.forEach((a, i) => {
          const begin = offsets[i] as number;
          expect(begin % 64).toBe(0);
          expect(begin + a.bytes).toBeLessThanOrEqual(bytes);
          requests.slice(0, i).forEach((b, j) => {
            const other = offsets[j] as number;
            const together = a.first <= b.last && b.first <= a.last;
            const apart = begin + a.bytes <= other || other + b.bytes <= begin;
            expect(!together || apart || a.bytes === 0 || b.bytes === 0).toBe(true);
          });
        });
      }),
    );
  });

  test('memory is used again: never less than what is in use at once, never more than all together', () => {
    fc.assert(
      fc.property(fc.array(request, { minLength: 1, maxLength: 40 }), (requests) => {
        const { bytes } = planArena(requests);
        const size = (r: ArenaRequest): number => Math.ceil(r.bytes / 64) * 64;
        const inUse = (step: number): number =>
          requests.reduce((n, r) => n + (r.first <= step && step <= r.last ? size(r) : 0), 0);
        expect(bytes).toBeGreaterThanOrEqual(Math.max(...requests.map((r) => inUse(r.first))));
        expect(bytes).toBeLessThanOrEqual(requests.reduce((n, r) => n + size(r), 0));
      }),
    );
    const chain = Array.from({ length: 50 }, (_, i) => ({ first: i, last: i + 1, bytes: 1024 }));
    expect(planArena(chain).bytes).toBe(2048);
    expect(planArena([])).toEqual({ offsets: [], bytes: 0 });
  });
});

describe('buckets', () => {
  test('1, 8, 64, 512, then multiples of 512', () => {
    const sizes = [0, 1, 2, 8, 9, 64, 65, 512, 513, 1024, 1025];
    expect(sizes.map(bucketOf)).toEqual([1, 1, 8, 8, 64, 64, 512, 512, 1024, 1024, 1536]);
    expect(bucketsOf(['B', 'T'], { T: 9, B: 3, other: 7 })).toEqual({ B: 8, T: 64 });
  });

  test('sides of pictures in steps of 8', () => {
    const sides = ['H', 'W'];
    expect(bucketsOf(['B', 'H', 'W'], { B: 3, H: 8, W: 9 }, sides)).toEqual({ B: 8, H: 8, W: 16 });
    expect(bucketsOf(sides, { H: 1, W: 300 }, sides)).toEqual({ H: 8, W: 304 });
  });

  test('the smallest that holds n', () => {
    fc.assert(
      fc.property(fc.nat(5000), (n) => {
        expect(bucketOf(n)).toBeGreaterThanOrEqual(n);
        expect(bucketOf(bucketOf(n))).toBe(bucketOf(n));
      }),
    );
  });
});
