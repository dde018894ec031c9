import { describe, expect, test } from 'vitest';
import { executorOf, runIn } from '../../lib/exec/run_graph.js';
import { Graph } from '../../lib/ir/graph.js';
import type { Value } from '../../lib/ir/value.js';
import { accumulate } from '../../lib/ops/accumulate.js';
import { adamw } from '../../lib/ops/adamw.js';
import { add } from '../../lib/ops/binary.js';
import { ema } from '../../lib/ops/ema.js';
import { fill } from '../../lib/ops/fill.js';
import { scalar } from '../../lib/ops/scalar.js';
import { sgd } from '../../lib/ops/sgd.js';
import { sumSquares } from '../../lib/ops/sum_squares.js';
import { unary } from '../../lib/ops/unary.js';
import { memoryParams } from '../../lib/weights/param_source.js';
import { type GoldenTensor, hasGolden, readGolden } from '../golden.js';
import { onnx, places } from '../replay.js';

/** An optimizer of PyTorch: its op over states named after their role, and its numbers at step t, from 1. */
interface Optimizer {
  step(state: (role: string) => Value, operands: { readonly grad: Value; readonly hyper: Value }): Value;
  hyper(t: number): readonly number[];
}

const adam = (decay: number): Optimizer => ({
  step: (state, operands) =>
    adamw({ param: state('param'), m: state('m'), v: state('v'), ...operands }).param,
  hyper: (t) => [0.01, 0.9, 0.999, 1e-8, decay, 1 - 0.9 ** t, 1 - 0.999 ** t, 1],
});
const momentum = (keep: number, decay: number): Optimizer => ({
  step: (state, operands) =>
    sgd({ param: state('param'), momentum: state('momentum'), ...operands }, keep > 0).param,
  hyper: () => [0.1, keep, decay, 1],
});
const optimizers: Readonly<Record<string, Optimizer>> = {
  opt_adam: adam(0),
  opt_adamw: adam(0.1),
  opt_sgd: momentum(0, 0),
  opt_sgd_mom_nesterov_wd: momentum(0.9, 0.01),
};

/** A graph of which one state is the result. */
function graphOf(build: (graph: Graph) => Value): Graph {
  const graph = new Graph();
  const y = build(graph);
  graph.output('y', add(y, scalar(y, 0)));
  return graph;
}

const row = ({ shape, data }: GoldenTensor, i: number): { shape: number[]; data: Float64Array } => {
  const width = shape.slice(1).reduce((n, d) => n * d, 1);
  return { shape: shape.slice(1), data: data.subarray(i * width, (i + 1) * width) };
};

describe.skipIf(!hasGolden('ops'))('golden optimizers', () => {
  const tensors: Readonly<Record<string, GoldenTensor>> = hasGolden('ops') ? readGolden('ops').tensors : {};
  const tensor = (name: string): GoldenTensor => tensors[name] as GoldenTensor;

  describe.each(places.filter((place) => place !== onnx))('$name', (place) => {
    test.each(Object.entries(optimizers))('%s', async (name, { step, hyper }) => {
      const start = tensor(`${name}/start`);
      const grads = tensor(`${name}/grads`);
      const want = tensor(`${name}/params_after_each_step`);
      const session = executorOf(place).open(memoryParams({}));
      const state = (graph: Graph) => (role: string) => graph.state(role, 'f32', start.shape);
      const first = graphOf((g) => accumulate(state(g)('param'), g.input('x', 'f32', start.shape)));
      const next = graphOf((g) =>
        step(state(g), {
          grad: g.input('grad', 'f32', start.shape),
          hyper: g.input('hyper', 'f32', [hyper(1).length]),
        }),
      );
      await runIn(session, first, { inputs: { x: start } });
      for (let t = 1; t <= (grads.shape[0] as number); t++) {
        const numbers = hyper(t);
        const inputs = { grad: row(grads, t - 1), hyper: { shape: [numbers.length], data: numbers } };
        const { y } = await runIn(session, next, { inputs });
        row(want, t - 1).data.forEach((w, i) => {
          expect(Math.abs((y?.data[i] as number) - w), `step ${t}, number ${i}`).toBeLessThan(2e-6);
        });
      }
      await session.dispose();
    });

    test('clip_grad_norm_1.5, by the sum of squares and a factor', async () => {
      const graph = new Graph();
      const parts = [0, 1].map((i) =>
        graph.input(`in${i}`, 'f32', tensor(`clip_grad_norm_1.5/in${i}`).shape),
      );
      const [a, b] = parts.map(sumSquares) as [Value, Value];
      graph.output('norm', unary('sqrt', add(a, b)));
      const session = executorOf(place).open(memoryParams({}));
      const inputs = { in0: tensor('clip_grad_norm_1.5/in0'), in1: tensor('clip_grad_norm_1.5/in1') };
      const { norm } = await runIn(session, graph, { inputs });
      expect(norm?.data[0]).toBeCloseTo(tensor('clip_grad_norm_1.5/norm').data[0] as number, 5);
      await session.dispose();
    });

    test('an average follows its parameter', async () => {
      const session = executorOf(place).open(memoryParams({}));
      const graph = graphOf((g) =>
        ema(g.state('average', 'f32', [3]), g.input('x', 'f32', [3]), g.input('decay', 'f32', [1])),
      );
      const inputs = { x: { shape: [3], data: [4, 8, -16] }, decay: { shape: [1], data: [0.75] } };
      await runIn(session, graph, { inputs });
      const { y } = await runIn(session, graph, { inputs });
      expect(Array.from(y?.data ?? [])).toEqual([1.75, 3.5, -7]);
      await session.dispose();
    });

    test('a sum of gradients begins anew', async () => {
      const session = executorOf(place).open(memoryParams({}));
      const sum = (g: Graph): Value => g.state('sum', 'f32', [37]);
      const more = graphOf((g) => accumulate(sum(g), g.input('x', 'f32', [37])));
      const none = graphOf((g) => fill(sum(g), 0));
      const x = { shape: [37], data: Array.from({ length: 37 }, (_, i) => i - 9) };
      await runIn(session, more, { inputs: { x } });
      const twice = await runIn(session, more, { inputs: { x } });
      expect(Array.from(twice.y?.data ?? [])).toEqual(x.data.map((v) => 2 * v));
      const empty = await runIn(session, none, { inputs: {} });
      expect(Array.from(empty.y?.data ?? [])).toEqual(x.data.map(() => 0));
      await session.dispose();
    });
  });
});
