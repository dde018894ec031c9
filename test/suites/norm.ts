import type { Shape } from '../../lib/ir/shape.js';
import '../../lib/ops/layer_norm.js';
import '../../lib/ops/layer_norm_grad.js';
import '../../lib/ops/rms_norm.js';
import '../../lib/ops/rms_norm_grad.js';
import { drawn, product, type Sample } from './suite.js';

const widths = [1, 7, 16, 33, 64, 200, 1000];
const shapes = (c: number): Shape[] =>
  c === 33
    ? [
        ['T', c],
        ['T', 3, c],
      ]
    : [['T', c]];
const cases = product(widths, [0, 1, 129]).flatMap(([c, T]) => shapes(c).map((shape) => ({ c, T, shape })));

/** Weights as training has them. */
const trained = (bias: boolean): Sample =>
  drawn(
    'weights from states',
    { T: 5 },
    (d) => ({
      x: d.x(['T', 2, 37]),
      weight: d.state([37]),
      ...(bias ? { bias: d.state([37]) } : {}),
    }),
    { eps: 1e-5 },
  );

export const rmsNorm: readonly Sample[] = [
  ...cases.map(({ c, T, shape }) =>
    drawn(
      `[${shape.join()}], T ${T}`,
      { T },
      (d) => ({ x: d.x(shape), weight: d.param([c], 'f32', { low: 0.5, high: 2 }) }),
      {
        eps: 1e-6,
      },
    ),
  ),
  drawn(
    'small numbers, large eps',
    { T: 3 },
    (d) => ({ x: d.x(['T', 20], { low: -1e-3, high: 1e-3 }), weight: d.param([20]) }),
    {
      eps: 1e-2,
    },
  ),
  drawn(
    'large numbers',
    { T: 3 },
    (d) => ({ x: d.x(['T', 20], { low: -1e4, high: 1e4 }), weight: d.param([20]) }),
    { eps: 0 },
  ),
  trained(false),
];

export const layerNorm: readonly Sample[] = [
  ...cases.map(({ c, T, shape }) =>
    drawn(
      `[${shape.join()}], T ${T}`,
      { T },
      (d) => ({ x: d.x(shape), weight: d.param([c], 'f32', { low: 0.5, high: 2 }), bias: d.param([c]) }),
      { eps: 1e-5 },
    ),
  ),
  // A mean far from 0 costs a digit or two of what is left.
  drawn(
    'a mean far from 0',
    { T: 5 },
    (d) => ({ x: d.x(['T', 100], { low: 9, high: 11 }), weight: d.param([100]), bias: d.param([100]) }),
    { eps: 1e-5 },
    1e-4,
  ),
  trained(true),
];

/** 300 rows: more than the parts that sums over rows have. Of two columns a layer norm leaves nothing but signs. */
const grads = (): Sample[] =>
  product([5, 7, 16, 33, 200], [0, 1, 129, 300]).flatMap(([c, T]) =>
    shapes(c).map((shape) =>
      drawn(
        `[${shape.join()}], T ${T}`,
        { T },
        (d) => ({ x: d.x(shape), weight: d.x([c], { low: 0.5, high: 2 }), dy: d.x(shape) }),
        { eps: 1e-5 },
        2e-5,
      ),
    ),
  );
export const rmsNormGrad: readonly Sample[] = grads();
export const layerNormGrad: readonly Sample[] = grads();
