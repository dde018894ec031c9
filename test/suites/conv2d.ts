import { type Dim, divDims } from '../../lib/ir/shape.js';
import { type Activation, activations } from '../../lib/ops/activation_functions.js';
import '../../lib/ops/conv2d.js';
import '../../lib/ops/conv2d_grad_w.js';
import '../../lib/ops/conv2d_grad_x.js';
import '../../lib/ops/fused_conv2d.js';
import { type Draw, drawn, product, type Sample } from './suite.js';

interface Case {
  readonly x: readonly Dim[];
  readonly w: readonly [number, number, number, number];
  readonly stride?: readonly [number, number];
  readonly padding?: readonly [number, number];
  readonly groups?: number;
  readonly dims?: Readonly<Record<string, number>>;
}

const nameOf = ({ x, w, stride, padding, groups, dims }: Case): string =>
  [
    `x [${x.join()}]`,
    `w [${w.join()}]`,
    stride && `stride ${stride.join('×')}`,
    padding && `padding ${padding.join('×')}`,
    groups && `${groups} groups`,
    dims && JSON.stringify(dims),
  ]
    .filter(Boolean)
    .join(', ');

const attrsOf = ({ stride = [1, 1], padding = [0, 0], groups = 1 }: Case) => ({ stride, padding, groups });

function operands(d: Draw, { x, w }: Case, bias: boolean): Sample['inputs'] {
  return {
    x: d.x(x),
    w: d.param(w),
    ...(bias ? { bias: d.param([w[0]]) } : {}),
  };
}

const same = [1, 1] as const;
/** Below, at and beyond the edges of panels (16 pixels), tiles (4 panels), rows of a register tile and blocks of k. */
const cases: readonly Case[] = [
  { x: [1, 1, 1, 1], w: [1, 1, 1, 1] },
  { x: [0, 3, 4, 4], w: [5, 3, 3, 3], padding: same },
  { x: [2, 3, 7, 5], w: [4, 3, 3, 3] },
  { x: [2, 3, 7, 5], w: [4, 3, 3, 3], padding: same },
  { x: [1, 5, 9, 16], w: [13, 5, 3, 3], padding: same },
  { x: [1, 5, 3, 17], w: [13, 5, 3, 3], padding: same },
  { x: [1, 8, 5, 33], w: [121, 8, 3, 3], padding: same },
  { x: [1, 20, 4, 70], w: [12, 20, 1, 1] },
  { x: [1, 64, 8, 8], w: [32, 64, 1, 1] },
  { x: [1, 3, 12, 40], w: [7, 3, 3, 3], stride: [2, 2], padding: same },
  { x: [1, 3, 13, 41], w: [7, 3, 3, 3], stride: [2, 2], padding: same },
  { x: [1, 2, 11, 35], w: [3, 2, 2, 5], stride: [3, 2], padding: [0, 4] },
  { x: [1, 2, 20, 9], w: [3, 2, 5, 1], stride: [1, 3], padding: [3, 0] },
  { x: [1, 1, 2, 3], w: [2, 1, 5, 5], padding: [2, 2] }, // a kernel larger than the picture
  { x: [1, 1, 3, 3], w: [2, 1, 1, 1], padding: [20, 20] }, // windows outside the picture
  { x: [2, 6, 6, 6], w: [4, 3, 3, 3], padding: same, groups: 2 },
  { x: [1, 18, 5, 20], w: [18, 1, 3, 3], padding: same, groups: 18 }, // depthwise
  { x: [1, 4, 6, 18], w: [8, 2, 3, 3], padding: same, stride: [2, 1], groups: 2 },
  { x: ['N', 3, 'H', 'W'], w: [4, 3, 3, 3], padding: same, dims: { N: 3, H: 5, W: 19 } },
  { x: [1, 3, '4*H', '2*W'], w: [4, 3, 3, 3], padding: same, stride: [2, 2], dims: { H: 3, W: 9 } },
];

/** Places of a window along an axis of a picture. */
const places = ({ x, w, stride = [1, 1], padding = [0, 0] }: Case, axis: 0 | 1): Dim => {
  const size = x[2 + axis] as Dim;
  if (typeof size === 'string') return divDims(size, stride[axis]) as Dim;
  return Math.floor((Number(size) + 2 * padding[axis] - (w[2 + axis] as number)) / stride[axis]) + 1;
};
const shapeOfY = (given: Case): Dim[] => [given.x[0] as Dim, given.w[0], places(given, 0), places(given, 1)];

/** Beside those of conv2d: kernels smaller than the stride, and pictures whose last rows no window sees. */
const gradientCases: readonly Case[] = [
  ...cases,
  { x: [1, 3, 8, 21], w: [4, 3, 1, 1], stride: [2, 2] },
  { x: [1, 2, 9, 40], w: [3, 2, 2, 1], stride: [3, 4], padding: [1, 0] },
  { x: [3, 2, 9, 140], w: [3, 2, 3, 3], padding: same }, // rows of more pixels than are unfolded at once
  { x: [2, 13, 30, 30], w: [125, 13, 3, 3], padding: same }, // several pieces and parts, chunks of rows
];

export const conv2dGradX: readonly Sample[] = gradientCases.map((given) =>
  drawn(nameOf(given), given.dims ?? {}, (d) => ({ dy: d.x(shapeOfY(given)), w: d.param(given.w) }), {
    ...attrsOf(given),
    size: given.x.slice(2),
  }),
);
export const conv2dGradW: readonly Sample[] = gradientCases.map((given) =>
  drawn(nameOf(given), given.dims ?? {}, (d) => ({ x: d.x(given.x), dy: d.x(shapeOfY(given)) }), {
    ...attrsOf(given),
    kernel: given.w.slice(2),
  }),
);

export const conv2d: readonly Sample[] = product(cases, [false, true]).map(([given, bias]) =>
  drawn(
    `${nameOf(given)}${bias ? ', bias' : ''}`,
    given.dims ?? {},
    (d) => operands(d, given, bias),
    attrsOf(given),
  ),
);

const block: Case = { x: [1, 5, 6, 37], w: [14, 5, 3, 3], padding: same };
const fused = (activation: Activation, bias: boolean, residual: boolean): Sample =>
  drawn(
    `${activation}${bias ? ', bias' : ''}${residual ? ', residual' : ''}`,
    {},
    (d) => ({ ...operands(d, block, bias), ...(residual ? { residual: d.x([1, 14, 6, 37]) } : {}) }),
    { ...attrsOf(block), activation },
  );

export const fusedConv2d: readonly Sample[] = [
  ...(Object.keys(activations) as Activation[]).map((activation) => fused(activation, true, true)),
  fused('relu', false, false),
  fused('relu', true, false),
  fused('none', false, true),
];
