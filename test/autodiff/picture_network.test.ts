import { describe, expect, test } from 'vitest';
import { gradients } from '../../lib/autodiff/gradients.js';
import { runGraph } from '../../lib/exec/run_graph.js';
import { Graph } from '../../lib/ir/graph.js';
import type { Value } from '../../lib/ir/value.js';
import { verify } from '../../lib/ir/verify.js';
import { activation } from '../../lib/ops/activation.js';
import { add } from '../../lib/ops/binary.js';
import { conv2d } from '../../lib/ops/conv2d.js';
import { groupNorm } from '../../lib/ops/group_norm.js';
import { pool2d } from '../../lib/ops/pool2d.js';
import { upsample2d } from '../../lib/ops/upsample2d.js';
import { floats, named } from '../random.js';
import { cpuPlaces, distance, type Program, reference, run } from '../replay.js';

const shapes: Readonly<Record<string, readonly number[]>> = {
  first: [8, 3, 3, 3],
  first_bias: [8],
  scale: [8],
  shift: [8],
  down: [16, 8, 3, 3],
  down_bias: [16],
  up: [8, 16, 3, 3],
  last: [3, 8, 1, 1],
};
const drawn = (name: string, shape: readonly number[]) => ({
  shape,
  data: floats(
    named(name),
    shape.reduce((n, d) => n * d, 1),
    -0.4,
    0.4,
  ),
});

/** Gradients of a small U-shaped network over pictures of any size, with respect to its parameters and the picture. */
function network(n: number, height: number, width: number): Program {
  const graph = new Graph();
  const x = graph.input('x', 'f32', ['N', 3, '4*H', '4*W']);
  const p = Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [name, graph.param(name, 'f32', shape)]),
  ) as Record<string, Value>;
  const wide = conv2d(x, p.first as Value, { bias: p.first_bias, padding: 1 });
  const normed = groupNorm(wide, p.scale as Value, p.shift as Value, { groups: 4, eps: 1e-5 });
  const active = activation('silu', normed);
  const down = conv2d(active, p.down as Value, { bias: p.down_bias, padding: 1, stride: 2 });
  const small = pool2d('max', activation('relu', down), 2);
  const up = conv2d(upsample2d(small, 4), p.up as Value, { padding: 1 });
  const y = conv2d(add(up, active), p.last as Value);
  const wrt = [x, ...Object.values(p)];
  const seed = graph.input('seed', 'f32', y.shape);
  gradients(y, wrt, { seed }).forEach((gradient, i) => {
    graph.output(`d ${wrt[i]?.name}`, gradient);
  });
  verify(graph);
  const picture = [n, 3, 4 * height, 4 * width];
  return {
    graph,
    feed: {
      inputs: { x: drawn('x', picture), seed: drawn('seed', picture) },
      params: Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, drawn(name, shape)])),
      bindings: { H: height, W: width },
    },
  };
}

describe.each(cpuPlaces)('gradients of a network over pictures: $name', (place) => {
  test.each([
    [1, 1, 1],
    [2, 3, 5],
    [3, 10, 9],
  ])('%i of %i × %i', async (n, h, w) => {
    const program = network(n, h, w);
    const [got, want] = await Promise.all([run(program, place), run(program, reference)]);
    for (const [name, value] of Object.entries(want))
      expect(distance(got[name]?.data ?? [], value.data), name).toBeLessThan(2e-5);
  });

  test('no bit depends on threads', async () => {
    const { graph, feed } = network(3, 10, 9);
    const on = (threads: number) =>
      runGraph(graph, { ...feed, device: 'cpu', threads, ...(place.isa && { isa: place.isa }) });
    const alone = await on(1);
    for (const threads of [2, 3]) expect(await on(threads)).toEqual(alone);
  });
});
