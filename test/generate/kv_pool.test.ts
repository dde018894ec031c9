import { describe, expect, test } from 'vitest';
import { blocksFor, KvPool } from '../../lib/generate/kv_pool.js';
import { Sequence } from '../../lib/generate/sequence.js';

const text = (length: number, seed = 0): number[] => Array.from({ length }, (_, i) => (i * 7 + seed) % 97);

/** A sequence that computed all its tokens. */
function computed(pool: KvPool, tokens: readonly number[], { shared = true } = {}): Sequence {
  pool.reserve(blocksFor(tokens.length));
  const sequence = new Sequence(pool, tokens, tokens.length, { root: shared ? 'base' : undefined });
  const rows = sequence.pending;
  sequence.grow(rows);
  sequence.advance(rows);
  return sequence;
}

/** How much of a text is known. */
function cached(pool: KvPool, tokens: readonly number[], root = 'base'): number {
  pool.reserve(9);
  const sequence = new Sequence(pool, tokens, tokens.length, { root });
  for (let left = 9 - sequence.blocks.length; left > 0; left--) pool.unreserve(1);
  sequence.release();
  return sequence.cached;
}

describe('blocks', () => {
  test('are taken out of what was promised, and come back', () => {
    const pool = new KvPool(4);
    expect(pool.available).toBe(4);
    pool.reserve(3);
    expect(pool.available).toBe(1);
    const blocks = [pool.take(), pool.take()];
    expect(new Set(blocks).size).toBe(2);
    expect(pool.available).toBe(1);
    pool.unreserve(1);
    for (const block of blocks) pool.release(block);
    expect(pool.available).toBe(4);
  });

  test('that several hold come back when the last lets go', () => {
    const pool = new KvPool(2);
    pool.reserve(1);
    const block = pool.take();
    pool.retain(block);
    pool.release(block);
    expect(pool.available).toBe(1);
    pool.release(block);
    expect(pool.available).toBe(2);
  });

  test('used last are given out first', () => {
    const pool = new KvPool(100);
    pool.reserve(2);
    const block = pool.take();
    pool.release(block);
    expect(pool.take()).toBe(block);
  });
});

describe('prefixes', () => {
  test('are found by whole blocks, at most all but the last token', () => {
    const pool = new KvPool(20);
    const first = computed(pool, text(40));
    expect(cached(pool, text(40))).toBe(32);
    expect(cached(pool, text(33))).toBe(32);
    expect(cached(pool, text(32))).toBe(16);
    expect(cached(pool, text(16))).toBe(0);
    expect(cached(pool, [...text(20), ...text(20, 5)])).toBe(16);
    expect(cached(pool, text(40), 'length 40')).toBe(0);
    expect(cached(pool, [1, ...text(40)])).toBe(0);
    first.release();
    expect(cached(pool, text(40))).toBe(32);
  });

  test('nobody finds what has no root', () => {
    const pool = new KvPool(20);
    computed(pool, text(40), { shared: false });
    expect(computed(pool, text(40)).cached).toBe(0);
  });

  test('stay until the memory is needed: the longest unused goes first, of a prefix its end', () => {
    const pool = new KvPool(6);
    computed(pool, text(32, 1)).release();
    computed(pool, text(32, 2)).release();
    expect(pool.available).toBe(6);
    const third = computed(pool, text(48, 3));
    expect(third.cached).toBe(0);
    third.release();
    expect(cached(pool, [...text(32, 1), 9])).toBe(16);
    expect(cached(pool, [...text(32, 2), 9])).toBe(32);
    expect(cached(pool, [...text(48, 3), 9])).toBe(48);
    expect(pool.available).toBe(6);
  });

  test('two that compute the same at the same time both end well', () => {
    const pool = new KvPool(12);
    pool.reserve(6);
    const pair = [0, 1].map(() => new Sequence(pool, text(40), 40, { root: 'base' }));
    for (const rows of [16, 16, 8]) {
      for (const sequence of pair) {
        sequence.grow(rows);
        sequence.advance(rows);
      }
    }
    expect(new Set(pair.flatMap((s) => s.blocks)).size).toBe(6);
    expect(computed(pool, text(40)).cached).toBe(32);
    pair[0]?.release();
    expect(computed(pool, text(40)).cached).toBe(32);
  });

  test('a shared block that is idle counts as taken', () => {
    const pool = new KvPool(3);
    computed(pool, text(33)).release();
    pool.reserve(3);
    const again = new Sequence(pool, text(33), 33, { root: 'base' });
    expect(again.blocks).toHaveLength(2);
    expect(pool.available).toBe(0);
    again.grow(1);
    expect(pool.available).toBe(0);
    again.release();
    expect(pool.available).toBe(3);
  });
});

describe('sequence', () => {
  test('slots follow its blocks', () => {
    const pool = new KvPool(8);
    pool.reserve(3);
    pool.take();
    const sequence = new Sequence(pool, text(20), 20);
    expect(sequence.pending).toBe(20);
    sequence.grow(20);
    expect(sequence.blocks).toHaveLength(2);
    expect(sequence.slot(17)).toBe((sequence.blocks[1] as number) * 16 + 1);
    sequence.advance(20);
    expect(sequence.pending).toBe(0);
    sequence.tokens.push(1);
    expect(sequence.pending).toBe(1);
  });

  test('a fork shares full blocks and copies the open one', () => {
    const pool = new KvPool(8);
    const parent = computed(pool, text(20));
    pool.reserve(1);
    const copies: { from: number; to: number }[] = [];
    const child = parent.fork(pool, 5, copies);
    expect(child.tokens).toEqual([...text(20), 5]);
    expect([child.promptLength, child.computed, child.pending]).toEqual([20, 20, 1]);
    expect(child.blocks[0]).toBe(parent.blocks[0]);
    expect(copies).toEqual([{ from: parent.blocks[1], to: child.blocks[1] }]);
    parent.release();
    expect(pool.available).toBe(6);
    child.release();
    child.release();
    expect(pool.available).toBe(8);
  });

  test('a fork at a full block copies nothing', () => {
    const pool = new KvPool(8);
    const parent = computed(pool, text(32));
    const copies: { from: number; to: number }[] = [];
    expect(parent.fork(pool, 5, copies).blocks).toEqual(parent.blocks);
    expect(copies).toEqual([]);
  });
});
