import { describe, expect, test } from 'vitest';
import { type AnyOp, allOps, applyOp, opNamed } from '../../lib/ir/define_op.js';
import { Graph } from '../../lib/ir/graph.js';
import { evalShape } from '../../lib/ir/shape.js';
import type { Value } from '../../lib/ir/value.js';
import { verify } from '../../lib/ir/verify.js';
import { decompose } from '../../lib/passes/decompose.js';
import { distance } from '../replay.js';
import { suites } from '../suites/all.js';
import type { Sample } from '../suites/suite.js';
import { addGradients, evaluator, type Leaves, slopes, weights } from './finite_differences.js';

/** Numbers in all operands of a sample, at most: the reference is slow. */
const most = 5000;
const tolerance = 1e-6;
/** Functions whose slope is 0 wherever they have one. */
const steps = /^(less|equal) /;

const sizeOf = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);

interface Applied {
  readonly graph: Graph;
  readonly leaves: Leaves;
  readonly y: Value;
}

/** The graph of an op over a sample's operands, with one of its outputs as `y`. */
function applied(op: AnyOp, { inputs, attrs, dims }: Sample, output = op.outputs[0]): Applied {
  const graph = new Graph();
  const values: Record<string, Value> = {};
  const leaves: Record<string, readonly number[]> = {};
  for (const [name, { dtype, shape, data, from }] of Object.entries(inputs)) {
    values[name] =
      from === 'const'
        ? graph.constant(dtype, evalShape(shape, dims), data)
        : graph.input(name, dtype, shape);
    if (from !== 'const') leaves[name] = data;
  }
  const y = applyOp(op, values, attrs)[output ?? ''] as Value;
  graph.output('y', y);
  return { graph, leaves, y };
}

/** Whether gradients flow through an op: by a rule of its own, or by those of all that it is made of. */
function derivable(op: AnyOp, sample: Sample): boolean {
  if (typeof op.gradient === 'function') return true;
  if (op.kind === 'primitive') return false;
  const { graph } = applied(op, sample);
  return decompose(graph, (node) => typeof opNamed(node.op).gradient === 'function').nodes.every(
    (node) => typeof opNamed(node.op).gradient === 'function',
  );
}

/** Samples small enough, all of whose numbers are common ones. What rounds its operands, to bf16 or to bytes, has no slope. */
const samplesOf = (name: string): Sample[] =>
  (suites[name] ?? []).filter(({ inputs, attrs }) => {
    if (attrs.compute === 'bf16' || inputs.x_scale) return false;
    const numbers = Object.values(inputs).flatMap((i) => [...i.data]);
    return numbers.length <= most && numbers.every((x) => Number.isFinite(x) && Math.abs(x) <= 1e3);
  });

/** How far the gradients of a sample lie from differences, by output and operand. */
function errors(op: AnyOp, sample: Sample): { readonly worst: number; readonly checked: number } {
  let worst = 0;
  let checked = 0;
  for (const output of op.outputs) {
    const { graph, leaves, y } = applied(op, sample, output);
    if (y.dtype !== 'f32' || y.state !== undefined) continue;
    const wrt = [...graph.inputs.values()].filter((v) => v.dtype === 'f32');
    addGradients(graph, y, wrt);
    verify(graph);
    const seed = weights(sizeOf(evalShape(y.shape, sample.dims)));
    const run = evaluator(graph, sample.dims);
    const all = { ...leaves, seed };
    const found = run(all);
    const alone = evaluator(applied(op, sample, output).graph, sample.dims);
    for (const { name } of wrt) {
      if (leaves[name]?.length === 0) continue;
      const { numeric, claimed } = slopes(alone, name, all, found[`d ${name}`]);
      const want = steps.test(sample.name) ? numeric.map(() => 0) : numeric;
      worst = Math.max(worst, distance(claimed, want));
      if (want.some((x) => x !== 0)) checked++;
    }
  }
  return { worst, checked };
}

describe('the gradient of each op is what finite differences say', () => {
  const names = [...allOps.keys()].filter((name) => {
    const [sample] = suites[name] ?? [];
    return sample && derivable(opNamed(name), sample);
  });

  test.each(names)('%s', (name) => {
    const op = opNamed(name);
    const wrong: string[] = [];
    let checked = 0;
    for (const sample of samplesOf(name)) {
      const result = errors(op, sample);
      checked += result.checked;
      if (!(result.worst <= tolerance)) wrong.push(`${sample.name}: off by ${result.worst.toExponential(2)}`);
    }
    expect(wrong).toEqual([]);
    expect(checked, 'samples with numbers to check').toBeGreaterThan(0);
  });
});
