import { describe, expect, test } from 'vitest';
import { type GradientOptions, gradients } from '../../lib/autodiff/gradients.js';
import { lowerForCpu } from '../../lib/exec/cpu.js';
import { defineOp, f32 } from '../../lib/ir/define_op.js';
import { Graph } from '../../lib/ir/graph.js';
import type { Value } from '../../lib/ir/value.js';
import { verify } from '../../lib/ir/verify.js';
import { add, binary, mul, sub } from '../../lib/ops/binary.js';
import { quantizeRows } from '../../lib/ops/quantize_rows.js';
import { reduce } from '../../lib/ops/reduce.js';
import { scalar } from '../../lib/ops/scalar.js';
import { unary } from '../../lib/ops/unary.js';
import { encodePlans } from '../../lib/plan/encode.js';
import { floats, named } from '../random.js';
import { cpuPlaces, distance, run } from '../replay.js';
import { evaluator, slopes, weights } from './finite_differences.js';

/** a · b + b, in simpler ops alone. */
const blend = defineOp({
  kind: 'composite',
  name: 'test_blend',
  inputs: ['a', 'b', 'c?'],
  outputs: ['y'],
  infer: ({ a }, _attrs: Record<string, never>) => ({ y: f32(a.shape) }),
  decompose: ({ a, b, c }) => ({ y: add(mul(a, b), c ?? b) }),
});

/** Adds x to a state, and gives x again. */
const accumulate = defineOp({
  kind: 'primitive',
  name: 'test_accumulate',
  inputs: ['sum', 'x'],
  outputs: ['next', 'y'],
  infer: ({ sum, x }, _attrs: Record<string, never>) => ({ next: f32(sum.shape), y: f32(x.shape) }),
  writes: { next: 'sum' },
  gradient: ({ gradients: { y: dy } }) => (dy ? { x: dy } : {}),
  onnx: { excluded: 'a test' },
  reference({ sum, x }, _attrs, { next, y }) {
    y.data.set(x.data);
    x.data.forEach((v, i) => {
      next.data[i] = (sum.data[i] as number) + v;
    });
  },
});

const size = 6;
const numbers = { x: floats(named('x'), size), z: floats(named('z'), size, 0.5, 2) };

/** Checks the gradients of a function of x and z against finite differences. */
function check(
  f: (x: Value, z: Value) => Value,
  options: (graph: Graph) => GradientOptions = () => ({}),
): void {
  const graph = new Graph();
  const [x, z] = [graph.input('x', 'f32', [size]), graph.input('z', 'f32', [size])];
  const y = f(x, z);
  graph.output('y', y);
  const seed = graph.constant('f32', y.shape as number[], weights(Number(y.shape[0])));
  gradients(y, [x, z], { seed, ...options(graph) }).forEach((dx, i) => {
    graph.output(i === 0 ? 'd x' : 'd z', dx);
  });
  verify(graph);
  const run = evaluator(graph);
  const found = run(numbers);
  for (const leaf of ['x', 'z']) {
    const { numeric, claimed } = slopes(run, leaf, numbers, found[`d ${leaf}`]);
    expect(distance(claimed, numeric), leaf).toBeLessThan(1e-7);
  }
}

describe('gradients', () => {
  test('a value that is used twice has the sum of both', () => {
    check((x, z) => {
      const shared = mul(x, z);
      return add(unary('tanh', shared), mul(shared, shared));
    });
  });

  test('an operand that counts on two ways, one of them longer', () => {
    check((x, z) => binary('div', mul(x, unary('exp', x)), add(z, x)));
  });

  test('a composite without a rule of its own is taken apart', () => {
    check((x, z) => blend({ a: unary('sin', x), b: z }, {}).y);
  });

  test('a composite that has one value under several names', () => {
    check((x, z) => mul(blend({ a: x, b: x, c: x }, {}).y, z));
  });

  test('a broadcast number has the sum of all', () => {
    check((x, z) => mul(x, reduce('sum', z, 0)));
  });

  test('without a seed all elements of y count as summed', async () => {
    const graph = new Graph();
    const x = graph.input('x', 'f32', [2, 3]);
    const y = mul(x, x);
    graph.output('dx', gradients(y, [x])[0] as Value);
    const { dx } = await run(
      { graph, feed: { inputs: { x: { shape: [2, 3], data: [1, 2, 3, 4, 5, 6] } } } },
      { name: 'reference', device: 'reference' },
    );
    expect(Array.from(dx?.data ?? [])).toEqual([2, 4, 6, 8, 10, 12]);
  });

  test('gradients with respect to what lies between, and to y itself', () => {
    const graph = new Graph();
    const x = graph.input('x', 'f32', [2]);
    const between = unary('exp', x);
    const y = mul(between, scalar(x, 3));
    const seed = graph.constant('f32', [2], [1, 1]);
    const [dBetween, dy] = gradients(y, [between, y], { seed });
    expect(dy).toBe(seed);
    graph.output('d', dBetween as Value);
    expect(Array.from(evaluator(graph)({ x: [5, 6] }).d ?? [])).toEqual([3, 3]);
  });

  test('operands that nobody asks about cost nothing', () => {
    const graph = new Graph();
    const [x, w] = [graph.input('x', 'f32', [2]), graph.param('w', 'f32', [2])];
    const y = mul(unary('exp', x), w);
    const before = graph.nodes.length;
    gradients(y, [w]);
    expect(graph.nodes.slice(before).some((node) => node.op === 'unary_grad')).toBe(false);
  });
});

describe('errors', () => {
  const graph = (): { graph: Graph; x: Value } => {
    const g = new Graph();
    return { graph: g, x: g.input('x', 'f32', [2, 32]) };
  };

  test('y does not depend on a value', () => {
    const { graph: g, x } = graph();
    expect(() => gradients(unary('exp', x), [g.param('w', 'f32', [2])])).toThrow(
      'unary.y does not depend on param "w"',
    );
  });

  test('an op without a gradient', () => {
    const { x } = graph();
    const { scale } = quantizeRows(x);
    expect(() => gradients(unary('exp', scale), [x])).toThrow('"quantize_rows" has no gradient');
  });

  test('an op that writes a state in what is differentiated', () => {
    const { graph: g, x } = graph();
    const { y } = accumulate({ sum: g.state('sum', 'f32', [2, 32]), x }, {});
    expect(() => gradients(unary('exp', y), [x])).toThrow('"test_accumulate" writes a state inside');
  });

  test('y of a symbolic shape without a seed', () => {
    const g = new Graph();
    const x = g.input('x', 'f32', ['T', 2]);
    expect(() => gradients(unary('exp', x), [x])).toThrow('f32[T,2] has no fixed shape: expected a seed');
  });

  test('a seed of another shape', () => {
    const { graph: g, x } = graph();
    const seed = g.constant('f32', [2], [1, 1]);
    expect(() => gradients(unary('exp', x), [x], { seed })).toThrow('like f32[2,32], got f32[2]');
  });
});

describe('recomputation', () => {
  const layers = 16;

  /** Layers of five ops; every fourth layer's result is kept. */
  function chain(recompute: boolean): Graph {
    const graph = new Graph();
    const x = graph.input('x', 'f32', ['T', 8]);
    const keep: Value[] = [];
    let h = x;
    for (let i = 0; i < layers; i++) {
      const scaled = mul(h, graph.param(`w${i}`, 'f32', [8]));
      h = add(h, unary('tanh', sub(unary('sin', scaled), unary('exp', unary('neg', scaled)))));
      if (i % 4 === 3) keep.push(h);
    }
    const wrt = [x, ...graph.params.values()];
    const seed = graph.input('seed', 'f32', ['T', 8]);
    const found = gradients(h, wrt, { seed, ...(recompute && { keep }) });
    found.forEach((value, i) => {
      graph.output(`d ${wrt[i]?.name}`, value);
    });
    verify(graph);
    return graph;
  }

  const T = 50;
  const feed = {
    inputs: {
      x: { shape: [T, 8], data: floats(named('x'), T * 8) },
      seed: { shape: [T, 8], data: floats(named('seed'), T * 8) },
    },
    params: Object.fromEntries(
      Array.from({ length: layers }, (_, i) => [`w${i}`, { shape: [8], data: floats(named(`w${i}`), 8) }]),
    ),
  };

  test.each(cpuPlaces)('gives the bits of what stays in memory: $name', async (place) => {
    const kept = await run({ graph: chain(false), feed }, place);
    const again = await run({ graph: chain(true), feed }, place);
    expect(Object.keys(again)).toHaveLength(layers + 1);
    expect(again).toEqual(kept);
  });

  test('needs less memory', async () => {
    const bytes = async (recompute: boolean): Promise<number> => {
      const { graph, calls } = await lowerForCpu(chain(recompute), { bf16Dot: false });
      return encodePlans(graph, calls).sizedFor({ T }).arenaBytes;
    };
    expect(await bytes(true)).toBeLessThan(0.55 * (await bytes(false)));
  });

  test('computes nothing twice that is kept or that no rule asks for', () => {
    const graph = new Graph();
    const x = graph.input('x', 'f32', [4]);
    const [a, b] = [unary('sin', x), unary('exp', x)];
    const y = add(unary('tanh', a), b);
    const before = graph.nodes.length;
    gradients(y, [x], { keep: [a, y] });
    const twice = graph.nodes
      .slice(before)
      .filter((node) => node.op === 'unary')
      .map((node) => node.attrs.fn);
    expect(twice.sort()).toEqual(['exp', 'tanh']);
  });

  test('never writes a state a second time', () => {
    const graph = new Graph();
    const x = graph.input('x', 'f32', [4]);
    const { y: same } = accumulate(
      { sum: graph.state('sum', 'f32', [4]), x: graph.input('z', 'f32', [4]) },
      {},
    );
    gradients(mul(unary('exp', x), same), [x], { keep: [] });
    expect(graph.nodes.filter((node) => node.op === 'test_accumulate')).toHaveLength(1);
    verify(graph);
  });

  test('of a composite, whose parts are taken apart over what was computed again', () => {
    check(
      (x, z) => blend({ a: unary('sin', x), b: unary('log', z) }, {}).y,
      () => ({ keep: [] }),
    );
  });
});
