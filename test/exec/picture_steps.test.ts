import { expect, test } from 'vitest';
import { loadBinding, type NativePlan } from '../../lib/exec/binding.js';
import { sources } from '../../lib/plan/encode.js';
import { availableIsas } from '../../lib/testing.js';

// What the engine itself refuses, whatever made the plan: a kernel checks nothing.
const binding = loadBinding();

interface Given {
  readonly kernel: string;
  /** Shapes; a size below 0 is a slot. */
  readonly inputs: readonly (readonly number[])[];
  readonly output: readonly number[];
  readonly attrs: readonly number[];
}

/** A plan of one step over inputs and an output. */
function planOf({ kernel, inputs, output, attrs }: Given): NativePlan {
  const value = (source: number, at: number, dims: readonly number[]) => ({ source, at, dtype: 'f32', dims });
  return {
    arenaBytes: 0,
    capacities: [100, 100],
    inputs: inputs.length,
    outputs: 1,
    values: [...inputs.map((dims, i) => value(sources.input, i, dims)), value(sources.output, 0, output)],
    steps: [{ kernel, inputs: inputs.map((_, i) => i), outputs: [inputs.length], attrs }],
  };
}

const load = (given: Given): number =>
  new binding.Session(availableIsas()[0] as string, 1).addPlan(planOf(given), [], []);

// stride 2 × 2, padding 1 × 1, 2 groups, no activation
const conv = {
  kernel: 'conv2d',
  inputs: [[1, 4, 9, 8], [6, 2, 3, 3], [6], [1, 6, 5, 4]],
  output: [1, 6, 5, 4],
  attrs: [2, 2, 1, 1, 2, 0],
};
// max, kernel 2 × 2, stride 2 × 2, no padding
const pool = { kernel: 'pool2d', inputs: [[1, 3, 4, 6]], output: [1, 3, 2, 3], attrs: [0, 2, 2, 2, 2, 0, 0] };
const upsample = { kernel: 'upsample2d', inputs: [[1, 3, 4, 6]], output: [1, 3, 8, 12], attrs: [2] };
const norm = {
  kernel: 'group_norm',
  inputs: [[1, 6, 2, 2], [6], [6]],
  output: [1, 6, 2, 2],
  attrs: [3, 1e-5],
};

test.each([conv, pool, upsample, norm])('a plan of $kernel loads', (given) => {
  expect(load(given)).toBe(0);
});

/** `given` with one of its inputs replaced. */
const input = (given: Given, i: number, dims: readonly number[]): Given => ({
  ...given,
  inputs: given.inputs.map((own, j) => (i === j ? dims : own)),
});

test.each<[string, Given]>([
  ['three axes', input(conv, 0, [4, 9, 8])],
  ['a matrix of weights', input(conv, 1, [6, 18])],
  ['other channels', input(conv, 0, [1, 6, 9, 8])],
  ['a kernel that is larger than told', input(conv, 1, [6, 2, 5, 5])],
  ['a bias of another length', input(conv, 2, [5])],
  ['a residual of another shape', input(conv, 3, [1, 6, 5, 5])],
  ['a result of other channels', { ...conv, output: [1, 4, 5, 4] }],
  ['a result of other height', { ...conv, output: [1, 6, 6, 4] }],
  ['a result for more pictures', { ...conv, output: [2, 6, 5, 4] }],
  ['stride 0', { ...conv, attrs: [0, 2, 1, 1, 2, 0] }],
  ['a padding below 0', { ...conv, attrs: [2, 2, -1, 1, 2, 0] }],
  ['groups that do not divide', { ...conv, attrs: [2, 2, 1, 1, 4, 0] }],
  ['an unknown activation', { ...conv, attrs: [2, 2, 1, 1, 2, 99] }],
  ['too few attributes', { ...conv, attrs: [2, 2, 1, 1] }],
  ['an unknown pooling', { ...pool, attrs: [2, 2, 2, 2, 2, 0, 0] }],
  ['other planes', { ...pool, output: [1, 2, 2, 3] }],
  ['a pooled picture of another size', { ...pool, output: [1, 3, 3, 3] }],
  ['a scale of 0', { ...upsample, attrs: [0] }],
  ['other planes', { ...upsample, output: [1, 2, 8, 12] }],
  ['an upsampled picture of another size', { ...upsample, output: [1, 3, 8, 13] }],
  ['groups that do not divide', { ...norm, attrs: [4, 1e-5] }],
  ['a weight too few', input(norm, 1, [5])],
  ['a bias too few', input(norm, 2, [5])],
  ['another shape', { ...norm, output: [1, 6, 2, 3] }],
])('a plan with %s does not load: %o', (_, given) => {
  expect(() => load(given)).toThrow(/plan: step 0 \(\w+\): expected /);
});

test.each<[Given]>([
  [{ ...conv, inputs: [[1, 4, -1, 8], [6, 2, 3, 3], [6]], output: [1, 6, -2, 4] }],
  [{ ...pool, inputs: [[1, 3, -1, 6]], output: [1, 3, -2, 3] }],
  [{ ...upsample, inputs: [[1, 3, -1, 6]], output: [1, 3, -2, 12] }],
])('sizes that a run brings are checked there: %o', async (given) => {
  const session = new binding.Session(availableIsas()[0] as string, 1);
  const plan = session.addPlan(planOf(given), [], []);
  const run = (height: number, out: number): Promise<void> => {
    const sizes = [height, out];
    const count = (dims: readonly number[]): number =>
      dims.reduce((n, d) => n * (d < 0 ? (sizes[-1 - d] as number) : d), 1);
    const inputs = given.inputs.map((dims) => new Float32Array(count(dims)));
    return session.run(plan, sizes, inputs, [new Float32Array(count(given.output))]);
  };
  const right = given.kernel === 'upsample2d' ? 18 : given.kernel === 'conv2d' ? 5 : 4;
  await run(9, right);
  for (const wrong of [right - 1, right + 1, 0])
    await expect(run(9, wrong)).rejects.toThrow(/the result's size is not that of its pictures/);
  await session.dispose();
});
