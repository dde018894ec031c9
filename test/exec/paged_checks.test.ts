import { expect, test } from 'vitest';
import { Graph } from '../../lib/ir/graph.js';
import { pagedAttention } from '../../lib/ops/paged_attention.js';
import { cpuPlaces, type Place, reference, run } from '../replay.js';

interface Sequences {
  readonly causal: boolean;
  readonly starts: readonly number[];
  readonly lengths: readonly number[];
  readonly tables: readonly number[];
}

/** Attention of 5 rows to a cache of 3 blocks of zeros. */
function attend(place: Place, { causal, starts, lengths, tables }: Sequences) {
  const graph = new Graph();
  const [k_cache, v_cache] = ['k_cache', 'v_cache'].map((name) => graph.state(name, 'f32', [3, 16, 1, 4]));
  const y = pagedAttention(
    {
      q: graph.input('q', 'f32', ['T', 2, 4]),
      k_cache: k_cache as NonNullable<typeof k_cache>,
      v_cache: v_cache as NonNullable<typeof v_cache>,
      q_starts: graph.input('q_starts', 'i32', ['B1']),
      context_lens: graph.input('context_lens', 'i32', ['B']),
      block_tables: graph.input('block_tables', 'i32', ['B', 'MB']),
    },
    { scale: 1, causal, window: 0, softcap: 0 },
  );
  graph.output('y', y);
  const inputs = {
    q: { shape: [5, 2, 4], data: Array.from({ length: 40 }, (_, i) => i) },
    q_starts: { shape: [starts.length], data: [...starts] },
    context_lens: { shape: [lengths.length], data: [...lengths] },
    block_tables: { shape: [lengths.length, tables.length / lengths.length], data: [...tables] },
  };
  return run({ graph, feed: { inputs } }, place);
}

test.each(cpuPlaces)('attention over the cache reads what is there alone, on $name', async (place) => {
  const sound = { causal: true, starts: [0, 2, 5], lengths: [17, 3], tables: [2, 0, 1, -7] };
  expect(await attend(place, sound)).toEqual(await attend(reference, sound));
  // Rows that stand among the keys are no more than these; others may be.
  const few = { ...sound, lengths: [17, 2] };
  await expect(attend(place, few)).rejects.toThrow('a context length that does not fit');
  const apart = { ...few, causal: false };
  expect(await attend(place, apart)).toEqual(await attend(reference, apart));
  const outside = [
    [{ tables: [2, 3, 1, 0] }, 'a block outside the cache'],
    [{ tables: [2, -1, 1, 0] }, 'a block outside the cache'],
    [{ lengths: [33, 3] }, 'a context length that does not fit'],
    [{ lengths: [-1, 3] }, 'a context length that does not fit'],
    [{ starts: [0, 6, 5] }, 'starts that descend'],
    [{ starts: [0, 2, 4] }, 'starts that do not span the rows'],
  ] as const;
  for (const [change, message] of outside)
    for (const causal of [true, false])
      await expect(attend(place, { ...sound, ...change, causal })).rejects.toThrow(message);
});
