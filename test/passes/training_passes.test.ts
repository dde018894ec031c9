import { describe, expect, test } from 'vitest';
import { gradients } from '../../lib/autodiff/gradients.js';
import { lowerForCpu } from '../../lib/exec/cpu.js';
import { runGraph } from '../../lib/exec/run_graph.js';
import { Graph } from '../../lib/ir/graph.js';
import type { Value } from '../../lib/ir/value.js';
import { verify } from '../../lib/ir/verify.js';
import { activation } from '../../lib/ops/activation.js';
import { add, mul } from '../../lib/ops/binary.js';
import { crossEntropy } from '../../lib/ops/cross_entropy.js';
import { linear } from '../../lib/ops/linear.js';
import { linearCrossEntropy } from '../../lib/ops/linear_cross_entropy.js';
import { linearCrossEntropyGrad } from '../../lib/ops/linear_cross_entropy_grad.js';
import { matmul } from '../../lib/ops/matmul.js';
import { reduce } from '../../lib/ops/reduce.js';
import { eliminateDead } from '../../lib/passes/eliminate_dead.js';
import { shareLoss } from '../../lib/passes/fuse_cross_entropy.js';
import { fuseMatmulAdd } from '../../lib/passes/fuse_matmul_add.js';
import { makeTrainable } from '../../lib/passes/make_trainable.js';
import { prepareForTraining } from '../../lib/passes/pipeline.js';
import { floats, named } from '../random.js';
import { tinyLossGraph } from './tiny_models.js';

const ops = (graph: Graph): string[] => graph.nodes.map(({ op }) => op);

const numbers = (name: string, shape: readonly number[]) => ({
  shape,
  data: floats(
    named(name),
    shape.reduce((n, d) => n * d, 1),
    -1,
    1,
  ),
});

/** Both graphs give the same numbers. */
async function expectSame(a: Graph, b: Graph): Promise<void> {
  verify(b);
  const inputs = Object.fromEntries(
    [...a.inputs.values()].map(({ name, shape }) => [name, numbers(name, shape as number[])]),
  );
  const [x, y] = await Promise.all([a, b].map((graph) => runGraph(graph, { inputs })));
  expect(y).toEqual(x);
}

describe('what is fused before a graph is differentiated', () => {
  const gated = (order: (a: Value, b: Value) => Value): Graph => {
    const graph = new Graph();
    const [gate, up] = ['gate', 'up'].map((name) => graph.input(name, 'f32', [3, 5])) as [Value, Value];
    graph.output('y', order(activation('silu', gate), up));
    return graph;
  };

  test.each([
    ['first', (a: Value, b: Value) => mul(a, b)],
    ['second', (a: Value, b: Value) => mul(b, a)],
  ])('a gate, the %s factor', async (_, order) => {
    const graph = gated(order);
    const fused = prepareForTraining(graph);
    expect(ops(fused)).toEqual(['gated_activation']);
    await expectSame(graph, fused);
  });

  test('not an activation that something else reads', () => {
    const graph = gated((a, b) => add(mul(a, b), a));
    expect(ops(prepareForTraining(graph))).toEqual(ops(graph));
  });
});

describe('sums that begin in what they are added to', () => {
  test('a product of matrices', async () => {
    const graph = new Graph();
    const [a, b, c] = ['a', 'b', 'c'].map((name) => graph.input(name, 'f32', [4, 4])) as [
      Value,
      Value,
      Value,
    ];
    graph.output('y', add(c, matmul(a, b, { transposeB: true })));
    const fused = eliminateDead(fuseMatmulAdd(graph));
    expect(ops(fused)).toEqual(['matmul_add']);
    await expectSame(graph, fused);
  });

  test('not one that something else reads, nor a broadcast', () => {
    const graph = new Graph();
    const [a, b] = ['a', 'b'].map((name) => graph.input(name, 'f32', [4, 4])) as [Value, Value];
    const product = matmul(a, b);
    graph.output('y', add(product, a));
    graph.output('z', product);
    graph.output('row', add(matmul(b, a), graph.input('row', 'f32', [1, 4])));
    expect(ops(eliminateDead(fuseMatmulAdd(graph)))).toEqual(ops(graph));
  });
});

test('products share what their operands are made into', async () => {
  const graph = new Graph();
  const x = graph.input('x', 'f32', ['T', 32]);
  for (const name of ['q', 'k', 'v']) graph.output(name, linear(x, graph.param(name, 'f32', [16, 32])));
  const { graph: trainable, weights } = makeTrainable(graph, (name) => name !== 'v', 'bf16');
  expect([...weights.keys()]).toEqual(['q', 'k']);
  const { calls } = await lowerForCpu(trainable, { bf16Dot: true });
  const products = calls.filter(({ kernel }) => kernel === 'matmul');
  // Rows are rounded by the first alone; each has a weight of its own to pack.
  expect(products.map(({ attrs }) => attrs.slice(3))).toEqual([
    [0, 0],
    [1, 0],
  ]);
  expect(products[0]?.outputs[2]).toBe(products[1]?.outputs[2]);
});

describe('cross-entropy of the output layer', () => {
  const linearThenLoss = (bias: boolean): Graph => {
    const graph = new Graph();
    const [x, w, b] = [graph.input('x', 'f32', [3, 4]), graph.param('w', 'f32', [5, 4]), [5]] as const;
    const logits = linear(x, w, bias ? graph.param('b', 'f32', b) : undefined);
    graph.output('loss', crossEntropy(logits, graph.input('labels', 'i32', [3]), 0.1));
    return graph;
  };

  test('is one op with it', () => {
    const graph = prepareForTraining(linearThenLoss(false));
    expect(ops(graph)).toEqual(['linear_cross_entropy']);
    verify(graph);
  });

  test('not where a bias comes between', () => {
    expect(ops(prepareForTraining(linearThenLoss(true)))).toEqual(['linear', 'cross_entropy']);
  });

  test.each([false, true])('comes from its gradient, recomputation %s', (recompute) => {
    const graph = tinyLossGraph({ recompute });
    verify(graph);
    expect(ops(graph).filter((op) => op.includes('cross_entropy'))).toEqual(['linear_cross_entropy_grad']);
  });

  test('stays where the gradient is of another loss', () => {
    const graph = new Graph();
    const [x, w] = [graph.input('x', 'f32', [3, 4]), graph.input('w', 'f32', [5, 4])];
    const labels = graph.input('labels', 'i32', [3]);
    graph.output('loss', linearCrossEntropy({ x, w, labels }, 0.1));
    const dloss = graph.input('dloss', 'f32', [3]);
    graph.output('dx', linearCrossEntropyGrad({ x, w, labels, dloss }, { smoothing: 0 }).dx);
    expect(shareLoss(graph)).toBe(graph);
  });

  test('stays where the gradient depends on it', () => {
    const { graph } = makeTrainable(prepareForTraining(linearThenLoss(false)), () => true, 'f32');
    const loss = graph.outputs.get('loss') as Value;
    gradients(reduce('sum', mul(loss, loss), 0), [...graph.states.values()]);
    expect(shareLoss(graph)).toBe(graph);
  });
});
