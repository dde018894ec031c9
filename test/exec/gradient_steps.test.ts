import { expect, test } from 'vitest';
import { loadBinding, type NativePlan } from '../../lib/exec/binding.js';
import { sources } from '../../lib/plan/encode.js';
import { availableIsas } from '../../lib/testing.js';

// What the engine itself refuses of the steps of gradients, whatever made the plan: a kernel checks nothing.
const binding = loadBinding();

interface Given {
  readonly kernel: string;
  /** Shapes; a size below 0 is a slot; null: an operand that is left out. */
  readonly inputs: readonly (readonly number[] | null)[];
  readonly outputs: readonly (readonly number[])[];
  readonly attrs: readonly number[];
}

/** A plan of one step over inputs and outputs. */
function planOf({ kernel, inputs, outputs, attrs }: Given): NativePlan {
  const given = inputs.filter((dims) => dims !== null);
  const value = (source: number, at: number, dims: readonly number[]) => ({ source, at, dtype: 'f32', dims });
  let next = 0;
  return {
    arenaBytes: 0,
    capacities: [100, 100],
    inputs: given.length,
    outputs: outputs.length,
    values: [
      ...given.map((dims, i) => value(sources.input, i, dims)),
      ...outputs.map((dims, i) => value(sources.output, i, dims)),
    ],
    steps: [
      {
        kernel,
        inputs: inputs.map((dims) => (dims === null ? -1 : next++)),
        outputs: outputs.map((_, i) => given.length + i),
        attrs,
      },
    ],
  };
}

const load = (given: Given): number =>
  new binding.Session(availableIsas()[0] as string, 1).addPlan(planOf(given), [], []);

const unary: Given = {
  kernel: 'unary_grad',
  inputs: [
    [3, 4],
    [3, 4],
  ],
  outputs: [[3, 4]],
  attrs: [1],
};
// A maximum over axis 1.
const reduce: Given = {
  kernel: 'reduce_grad',
  inputs: [
    [3, 1, 5],
    [3, 4, 5],
    [3, 1, 5],
  ],
  outputs: [[3, 4, 5]],
  attrs: [1, 1],
};
// Two before, one after, on axis 1.
const pad: Given = { kernel: 'pad', inputs: [[3, 4, 5]], outputs: [[3, 7, 5]], attrs: [1, 2, 1] };
// Stride 2 × 2, padding 1 × 1, 2 groups; the second output is room.
const convX: Given = {
  kernel: 'conv2d_grad_x',
  inputs: [
    [1, 6, 5, 4],
    [6, 2, 3, 3],
  ],
  outputs: [
    [1, 4, 9, 8],
    [6, 2, 3, 3],
  ],
  attrs: [2, 2, 1, 1, 2],
};
const convW: Given = {
  kernel: 'conv2d_grad_w',
  inputs: [
    [1, 4, 9, 8],
    [1, 6, 5, 4],
  ],
  outputs: [
    [6, 2, 3, 3],
    [7, 6, 2, 3, 3],
  ],
  attrs: [2, 2, 1, 1, 2],
};
// Max, kernel 2 × 2, stride 2 × 2, no padding.
const pool: Given = {
  kernel: 'pool2d_grad',
  inputs: [
    [1, 3, 2, 3],
    [1, 3, 4, 6],
    [1, 3, 2, 3],
  ],
  outputs: [[1, 3, 4, 6]],
  attrs: [0, 2, 2, 2, 2, 0, 0],
};
const norm: Given = {
  kernel: 'group_norm_grad',
  inputs: [[1, 6, 2, 2], [6], [1, 6, 2, 2]],
  outputs: [
    [1, 6, 2, 2],
    [1, 6],
    [1, 6],
  ],
  attrs: [3, 1e-5],
};

test.each([
  unary,
  reduce,
  { ...reduce, inputs: [[3, 1, 5], null, null], attrs: [0, 1] },
  pad,
  convX,
  convW,
  pool,
  { ...pool, inputs: [[1, 3, 2, 3], null, null], attrs: [1, 2, 2, 2, 2, 0, 0] },
  norm,
])('a plan of $kernel loads', (given) => {
  expect(load(given)).toBe(0);
});

/** `given` with one of its inputs, or outputs, replaced. */
const input = (given: Given, i: number, dims: readonly number[] | null): Given => ({
  ...given,
  inputs: given.inputs.with(i, dims),
});
const output = (given: Given, i: number, dims: readonly number[]): Given => ({
  ...given,
  outputs: given.outputs.with(i, dims),
});

test.each<[string, Given]>([
  ['a gradient of another shape', input(unary, 1, [3, 5])],
  ['a result of another shape', output(unary, 0, [4, 4])],
  ['an unknown derivative', { ...unary, attrs: [11] }],
  ['a gradient that keeps the axis', input(reduce, 0, [3, 4, 5])],
  ['a maximum of nothing', input(reduce, 1, null)],
  ['operands of another shape', input(reduce, 1, [3, 3, 5])],
  ['greatest numbers of another shape', input(reduce, 2, [3, 1, 4])],
  ['an axis that is not there', { ...reduce, attrs: [1, 3] }],
  ['more zeros than the result has room for', { ...pad, attrs: [1, 3, 1] }],
  ['zeros on another axis', { ...pad, attrs: [2, 2, 1] }],
  ['fewer than no zeros', { ...pad, attrs: [1, -1, 4] }],
  ['rows of another width', output(pad, 0, [3, 7, 6])],
  ['room that is too small', output(convX, 1, [6, 2, 3, 2])],
  ['other channels of weights', input(convX, 1, [6, 3, 3, 3])],
  ['a gradient of other channels', input(convX, 0, [1, 4, 5, 4])],
  ['a gradient of another size', input(convX, 0, [1, 6, 5, 5])],
  ['a picture of another size', output(convX, 0, [1, 4, 11, 8])],
  ['more pictures', output(convX, 0, [2, 4, 9, 8])],
  ['groups that do not divide', { ...convX, attrs: [2, 2, 1, 1, 4] }],
  ['stride 0', { ...convX, attrs: [0, 2, 1, 1, 2] }],
  ['parts of another shape', output(convW, 1, [7, 6, 2, 3, 2])],
  ['no parts', output(convW, 1, [0, 6, 2, 3, 3])],
  ['a gradient of another size', input(convW, 1, [1, 6, 5, 5])],
  ['a picture of other channels', input(convW, 0, [1, 6, 9, 8])],
  ['a kernel that is larger than told', output(convW, 0, [6, 2, 5, 5])],
  ['a gradient for more pictures', input(convW, 1, [2, 6, 5, 4])],
  ['greatest numbers of nothing', input(pool, 1, null)],
  ['a picture of another size', input(pool, 1, [1, 3, 4, 4])],
  ['greatest numbers of another shape', input(pool, 2, [1, 3, 3, 3])],
  ['other planes', output(pool, 0, [1, 2, 4, 6])],
  ['an unknown pooling', { ...pool, attrs: [2, 2, 2, 2, 2, 0, 0] }],
  ['a gradient of another shape', input(norm, 2, [1, 6, 2, 3])],
  ['a weight too few', input(norm, 1, [5])],
  ['groups that do not divide', { ...norm, attrs: [4, 1e-5] }],
  ['numbers for one picture less', output(norm, 1, [0, 6])],
  ['numbers for fewer channels', output(norm, 2, [1, 5])],
])('a plan with %s does not load: %o', (_, given) => {
  expect(() => load(given)).toThrow(/plan: step 0 \(\w+\): expected /);
});

test.each<[Given]>([
  [
    {
      ...convX,
      inputs: [
        [1, 6, -2, 4],
        [6, 2, 3, 3],
      ],
      outputs: [
        [1, 4, -1, 8],
        [6, 2, 3, 3],
      ],
    },
  ],
  [
    {
      ...convW,
      inputs: [
        [1, 4, -1, 8],
        [1, 6, -2, 4],
      ],
    },
  ],
  [
    {
      ...pool,
      inputs: [
        [1, 3, -2, 3],
        [1, 3, -1, 6],
        [1, 3, -2, 3],
      ],
      outputs: [[1, 3, -1, 6]],
    },
  ],
])('sizes that a run brings are checked there: %o', async (given) => {
  const session = new binding.Session(availableIsas()[0] as string, 1);
  const plan = session.addPlan(planOf(given), [], []);
  const run = (height: number, out: number): Promise<void> => {
    const sizes = [height, out];
    const memory = (dims: readonly number[] | null): Float32Array =>
      new Float32Array((dims ?? []).reduce((n, d) => n * (d < 0 ? (sizes[-1 - d] as number) : d), 1));
    return session.run(plan, sizes, given.inputs.map(memory), given.outputs.map(memory));
  };
  const right = given.kernel === 'pool2d_grad' ? 4 : 5;
  await run(9, right);
  for (const wrong of [right - 1, right + 1, 0])
    await expect(run(9, wrong)).rejects.toThrow(/the result's size is not that of its pictures/);
  await session.dispose();
});
