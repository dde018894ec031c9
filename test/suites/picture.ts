// Ops over pictures [N, C, H, W] without weights, or with a number for each channel.
import { type Dim, evalShape } from '../../lib/ir/shape.js';
import '../../lib/ops/group_norm.js';
import '../../lib/ops/group_norm_grad.js';
import { poolFunctions } from '../../lib/ops/pool2d.js';
import '../../lib/ops/pool2d_grad.js';
import { underWindow } from '../../lib/ops/window.js';
import '../../lib/ops/upsample2d.js';
import { drawn, product, type Sample } from './suite.js';

type Dims = Readonly<Record<string, number>>;
const told = (dims: Dims): string => (Object.keys(dims).length > 0 ? `, ${JSON.stringify(dims)}` : '');

const windows: readonly {
  readonly x: readonly Dim[];
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly padding?: readonly [number, number];
  readonly dims?: Dims;
}[] = [
  { x: [2, 3, 4, 6], kernel: [2, 2], stride: [2, 2] },
  { x: [1, 2, 7, 45], kernel: [3, 3], stride: [2, 2] },
  { x: [1, 2, 7, 45], kernel: [3, 3], stride: [1, 1], padding: [1, 1] },
  { x: [1, 2, 9, 40], kernel: [2, 5], stride: [3, 1], padding: [1, 2] },
  { x: [1, 1, 1, 1], kernel: [1, 1], stride: [1, 1] },
  { x: [0, 1, 2, 2], kernel: [2, 2], stride: [2, 2] },
  { x: ['N', 2, '2*H', '4*W'], kernel: [2, 2], stride: [2, 2], dims: { N: 2, H: 3, W: 5 } },
];

export const pool2d: readonly Sample[] = product(windows, ['max', 'mean']).map(
  ([{ x, kernel, stride, padding = [0, 0], dims = {} }, fn]) =>
    drawn(
      `${fn} [${x.join()}], kernel ${kernel.join('×')}, stride ${stride.join('×')}, padding ${padding.join('×')}${told(dims)}`,
      dims,
      (d) => ({ x: d.x(x) }),
      { fn, kernel, stride, padding },
    ),
);

/** As of each window: with few different numbers, some of the greatest have company. */
export const pool2dGrad: readonly Sample[] = product(windows, ['max', 'mean'] as const).map(
  ([{ x, kernel, stride, padding = [0, 0], dims = {} }, fn]) => {
    const attrs = { fn, kernel, stride, padding, size: x.slice(2) };
    const [n = 0, c = 0, height = 0, width = 0] = evalShape(x, dims);
    const placesOn = (size: number, axis: 0 | 1): number =>
      Math.floor((size + 2 * padding[axis] - kernel[axis]) / stride[axis]) + 1;
    const [high, wide] = [placesOn(height, 0), placesOn(width, 1)];
    const symbolic = Object.keys(dims).length > 0;
    const shape = symbolic ? ['N', 2, 'H', '2*W'] : [n, c, high, wide];
    return drawn(
      `${fn} [${x.join()}], kernel ${kernel.join('×')}, stride ${stride.join('×')}, padding ${padding.join('×')}${told(dims)}`,
      dims,
      (d) => {
        const dy = d.x(shape);
        if (fn === 'mean') return { dy };
        const seen = { ...d.ids(x, 5), dtype: 'f32' as const };
        const greatest = dy.data.map((_, i) => {
          const plane = Math.floor(i / (high * wide)) * height * width;
          let most = poolFunctions.max.start;
          underWindow([height, width], attrs, [Math.floor(i / wide) % high, i % wide], (_k, j) => {
            most = Math.max(most, seen.data[plane + j] as number);
          });
          return most;
        });
        return { dy, x: seen, y: { ...dy, data: greatest } };
      },
      attrs,
    );
  },
);

const pictures: readonly (readonly [readonly Dim[], Dims])[] = [
  [[2, 3, 4, 5], {}],
  [[1, 1, 3, 40], {}],
  [[0, 1, 2, 2], {}],
  [['N', 2, 'H', '2*W'], { N: 2, H: 3, W: 9 }],
];
export const upsample2d: readonly Sample[] = product(pictures, [1, 2, 3]).map(([[x, dims], scale]) =>
  drawn(`[${x.join()}] × ${scale}${told(dims)}`, dims, (d) => ({ x: d.x(x) }), { scale }),
);

const grouped: readonly (readonly [readonly Dim[], number, Dims])[] = [
  [[2, 6, 5, 7], 3, {}],
  [[1, 8, 1, 1], 2, {}],
  [[1, 4, 9, 33], 1, {}],
  [[1, 4, 3, 3], 4, {}],
  [[3, 6], 2, {}],
  [['N', 4, 'H', 'W'], 2, { N: 2, H: 5, W: 70 }],
];
export const groupNorm: readonly Sample[] = [
  ...grouped.map(([x, groups, dims]) =>
    drawn(
      `[${x.join()}] in ${groups}${told(dims)}`,
      dims,
      (d) => {
        const channels = x[1] as number;
        return {
          x: d.x(x),
          weight: d.param([channels], 'f32', { low: 0.5, high: 2 }),
          bias: d.param([channels]),
        };
      },
      { groups, eps: 1e-5 },
    ),
  ),
  drawn(
    'a mean far from 0',
    {},
    (d) => ({ x: d.x([1, 4, 10, 30], { low: 9, high: 11 }), weight: d.param([4]), bias: d.param([4]) }),
    { groups: 2, eps: 1e-5 },
    1e-4,
  ),
];

export const groupNormGrad: readonly Sample[] = grouped.map(([x, groups, dims]) =>
  drawn(
    `[${x.join()}] in ${groups}${told(dims)}`,
    dims,
    (d) => ({
      x: d.x(x),
      weight: d.param([x[1] as number], 'f32', { low: 0.5, high: 2 }),
      dy: d.x(x),
    }),
    { groups, eps: 1e-5 },
  ),
);
