import { q8Group, q8Scales } from '../../lib/dtype.js';
import type { Shape } from '../../lib/ir/shape.js';
import { type Activation, activations } from '../../lib/ops/activation_functions.js';
import type { Combine } from '../../lib/ops/fused_linear.js';
import '../../lib/ops/layer_norm_quantized.js';
import '../../lib/ops/quantize_rows.js';
import '../../lib/ops/quantized_linear.js';
import '../../lib/ops/rms_norm_quantized.js';
import { type Draw, drawn, product, type Sample } from './suite.js';

const wide = (k: number): number => q8Scales(k) * q8Group;
/** Below, at and beyond the edges of vectors and groups. */
const widths = [1, 15, 16, 31, 32, 33, 100, 256];
const rowShapes: readonly (readonly [Shape, number])[] = [
  [['T'], 0],
  [['T'], 1],
  [['T'], 130],
  [[2, 'T'], 5],
];

/** One row of numbers given, one at random. */
const given = (name: string, numbers: readonly number[]): Sample =>
  drawn(name, { T: 2 }, (d) => {
    const x = d.x(['T', numbers.length]);
    return { x: { ...x, data: [...numbers, ...x.data.slice(numbers.length)] } };
  });

export const quantizeRows: readonly Sample[] = [
  ...product(widths, rowShapes).map(([k, [rows, T]]) =>
    drawn(`[${[...rows, k].join()}], T ${T}`, { T }, (d) => ({ x: d.x([...rows, k]) })),
  ),
  drawn('large numbers', { T: 9 }, (d) => ({ x: d.x(['T', 50], { low: -3e38, high: 3e38 }) })),
  drawn('numbers below the normal ones', { T: 9 }, (d) => ({
    x: d.x(['T', 50], { low: -1e-42, high: 1e-42 }),
  })),
  given('zeros', [0, -0, 0, 0]),
  given('halves: to the even one', [254, 1, 3, 5, -1, -3, -5, 253, 0, 2]),
  given('a scale off by so much that numbers leave the range', [
    190 * 2 ** -149,
    2 ** -149,
    -170 * 2 ** -149,
  ]),
  given('NaN', [1, Number.NaN, 2]),
  given('infinity', [1, 2, Number.NEGATIVE_INFINITY]),
];

/** A byte next to a half may go either way, as the norm before it does. */
const norms = (layer: boolean): readonly Sample[] =>
  product(widths, rowShapes).map(([k, [rows, T]]) => ({
    ...drawn(
      `[${[...rows, k].join()}], T ${T}`,
      { T },
      (d) => ({
        x: d.x([...rows, k]),
        weight: d.param([k], 'f32', { low: 0.5, high: 2 }),
        ...(layer ? { bias: d.param([k]) } : {}),
      }),
      { eps: 1e-5 },
    ),
    steps: 1,
  }));
export const rmsNormQuantized = norms(false);
export const layerNormQuantized = norms(true);

const bytes = (d: Draw, rows: Shape, k: number): Sample['inputs'] => ({
  x: d.bytes(rows, k, wide(k)),
  x_scale: d.x(rows, { low: 0.001, high: 0.01 }),
});

/** [N, K]: below, at and beyond the edges of panels, groups and tiles. */
const sizes: readonly (readonly [number, number])[] = [
  [1, 1],
  [20, 60],
  [16, 32],
  [200, 333],
];
export const quantizedLinear: readonly Sample[] = [
  ...product(sizes, [0, 1, 2, 7, 129], [false, true]).map(([[n, k], T, bias]) =>
    drawn(`[${n},${k}]${bias ? ' with bias' : ''}, ${T} rows`, { T }, (d) => ({
      ...bytes(d, ['T'], k),
      w: d.param([n, k], 'q8'),
      ...(bias ? { bias: d.param([n]) } : {}),
    })),
  ),
  drawn('over three axes', { T: 5 }, (d) => ({
    ...bytes(d, [2, 'T'], 33),
    w: d.param([21, 33], 'q8'),
    bias: d.param([21]),
  })),
  drawn('a row that is not a number', { T: 3 }, (d) => ({
    x: d.bytes(['T'], 40, wide(40)),
    x_scale: { dtype: 'f32', shape: ['T'], data: [0.5, Number.NaN, 0.25] },
    w: d.param([20, 40], 'q8'),
  })),
];

interface Fused {
  readonly combine: Combine;
  readonly widths: readonly number[];
  readonly k: number;
}
const fusedShapes: readonly Fused[] = [
  { combine: 'one', widths: [20], k: 60 },
  { combine: 'gate', widths: [100, 100], k: 33 },
  { combine: 'concat', widths: [64, 16, 16], k: 32 },
  { combine: 'concat', widths: [7, 129], k: 61 },
];

/** `fused_linear` over bytes and q8 weights. */
export const fusedQuantizedLinear: readonly Sample[] = [
  ...product(fusedShapes, ['silu'] as Activation[], [false, true], [1, 9, 33]),
  ...product(fusedShapes.slice(0, 1), Object.keys(activations) as Activation[], [true], [5]),
].map(([{ combine, widths: parts, k }, activation, extras, T]) => {
  const total = combine === 'concat' ? parts.reduce((a, b) => a + b, 0) : (parts[0] as number);
  const name = `${combine} ${parts.join('+')} of ${k}, ${activation}${extras ? ' and extras' : ''}, q8, ${T} rows`;
  return drawn(
    name,
    { T },
    (d) => ({
      ...bytes(d, ['T'], k),
      ...Object.fromEntries(parts.map((n, i) => [`w${i}`, d.param([n, k], 'q8')])),
      ...(extras ? { b0: d.param([parts[0] as number]), residual: d.x(['T', total]) } : {}),
    }),
    { combine, activation },
  );
});
