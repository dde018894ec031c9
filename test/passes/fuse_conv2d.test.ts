import { describe, expect, test } from 'vitest';
import { lowerForCpu } from '../../lib/exec/cpu.js';
import { Graph } from '../../lib/ir/graph.js';
import type { Value } from '../../lib/ir/value.js';
import { verify } from '../../lib/ir/verify.js';
import { activation } from '../../lib/ops/activation.js';
import { add } from '../../lib/ops/binary.js';
import { conv2d } from '../../lib/ops/conv2d.js';
import { optimize } from '../../lib/passes/pipeline.js';
import { floats, named } from '../random.js';
import { distance, reference, run } from '../replay.js';

const convOf = (x: Value, w: Value): Value => conv2d(x, w, { padding: 1 });

/** What follows a convolution of x, and what becomes of it. */
const cases: Readonly<Record<string, readonly [(x: Value, w: Value, graph: Graph) => Value, string[]]>> = {
  'an activation': [(x, w) => activation('silu', convOf(x, w)), ['conv2d']],
  'a residual sum, then an activation': [(x, w) => activation('relu', add(convOf(x, w), x)), ['conv2d']],
  'a residual sum in the other order': [(x, w) => add(x, convOf(x, w)), ['conv2d']],
  'the sum of two convolutions': [(x, w) => add(convOf(x, w), convOf(x, w)), ['conv2d', 'conv2d']],
  'two activations': [
    (x, w) => activation('tanh', activation('relu', convOf(x, w))),
    ['conv2d', 'activation'],
  ],
  // What is read elsewhere, or of another shape, stays by itself.
  'a result read twice': [
    (x, w) => {
      const y = convOf(x, w);
      return add(activation('relu', y), y);
    },
    ['conv2d', 'activation', 'binary'],
  ],
  'a result that leaves': [
    (x, w, graph) => {
      const y = convOf(x, w);
      graph.output('before', y);
      return activation('relu', y);
    },
    ['conv2d', 'activation'],
  ],
  'a number for each channel': [
    (x, w, graph) => add(convOf(x, w), graph.param('b', 'f32', [3, 1, 1])),
    ['conv2d', 'binary'],
  ],
};

describe('what follows a convolution becomes part of it', () => {
  test.each(Object.entries(cases))('%s', async (name, [build, kernels]) => {
    const graph = new Graph();
    const shape = [1, 3, 5, 6];
    graph.output('y', build(graph.input('x', 'f32', shape), graph.param('w', 'f32', [3, 3, 3, 3]), graph));
    const fused = optimize(graph, verify);
    const { calls } = await lowerForCpu(graph, { bf16Dot: false });
    expect(calls.map(({ kernel }) => kernel)).toEqual(kernels);
    const next = named(name);
    const numbers = (of: readonly number[]) => ({
      shape: of,
      data: floats(
        next,
        of.reduce((a, b) => a * b, 1),
      ),
    });
    const feed = {
      inputs: { x: numbers(shape) },
      params: { w: numbers([3, 3, 3, 3]), b: numbers([3, 1, 1]) },
    };
    const [want, got] = [await run({ graph, feed }, reference), await run({ graph: fused, feed }, reference)];
    expect(distance(got.y?.data ?? [], want.y?.data ?? [])).toBeLessThan(1e-7);
  });
});
