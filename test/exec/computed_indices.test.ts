import { expect, test } from 'vitest';
import { Graph } from '../../lib/ir/graph.js';
import { embedding } from '../../lib/ops/embedding.js';
import { gatherRows } from '../../lib/ops/gather_rows.js';
import { reshape } from '../../lib/ops/reshape.js';
import { slice } from '../../lib/ops/slice.js';
import { cpuPlaces, type Place, reference, run } from '../replay.js';

/** Rows of a table by indices that a step computes: the second column of what is fed. */
function lookup(place: Place, indices: number[]) {
  const graph = new Graph();
  const pairs = graph.input('pairs', 'i32', ['T', 2]);
  const ids = reshape(slice(pairs, 1, 1, 2), ['T']);
  graph.output('gathered', gatherRows(embedding(graph.param('w', 'f32', [4, 3]), ids), ids));
  const data = indices.flatMap((i) => [-1, i]);
  const w = { shape: [4, 3], data: Array.from({ length: 12 }, (_, i) => i) };
  const inputs = { pairs: { shape: [indices.length, 2], data } };
  return run({ graph, feed: { inputs, params: { w } } }, place);
}

test.each(cpuPlaces)('computed indices on $name, and an error for those that are no place', async (place) => {
  expect(await lookup(place, [3, 0, 2, 1])).toEqual(await lookup(reference, [3, 0, 2, 1]));
  await expect(lookup(place, [3, 0, 4, 1])).rejects.toThrow('expected ids from 0 to 3, got 4');
  await expect(lookup(place, [3, 0, -1, 1])).rejects.toThrow('got -1');
  await expect(lookup(place, [3, 0])).rejects.toThrow('gather_rows: a row out of range');
});
