import type { DType } from '../../lib/dtype.js';
import { type Activation, activations } from '../../lib/ops/activation_functions.js';
import type { Combine } from '../../lib/ops/fused_linear.js';
import '../../lib/ops/linear.js';
import { type Draw, drawn, product, type Sample } from './suite.js';

const types: readonly DType[] = ['f32', 'f16', 'bf16'];
/** [N, K]: below, at and beyond the edges of panels, pairs and tiles. */
const sizes: readonly (readonly [number, number])[] = [
  [1, 1],
  [20, 60],
  [16, 32],
  [200, 333],
];

const packed: readonly Sample[] = [
  ...product(types, sizes, [0, 1, 2, 7, 129], [false, true]).map(([dtype, [n, k], T, bias]) =>
    drawn(`${dtype} [${n},${k}]${bias ? ' with bias' : ''}, ${T} rows`, { T }, (d) => ({
      x: d.x(['T', k]),
      w: d.param([n, k], dtype),
      ...(bias ? { bias: d.param([n]) } : {}),
    })),
  ),
  ...types.map((dtype) =>
    drawn(`${dtype} over three axes`, { T: 5 }, (d) => ({
      x: d.x([2, 'T', 33]),
      w: d.param([21, 33], dtype),
      bias: d.param([21]),
    })),
  ),
];

/** Weights that change from run to run are computed values. */
const trained: readonly Sample[] = product(['f32', 'bf16'], sizes, [0, 1, 7, 129], [false, true]).map(
  ([compute, [n, k], T, bias]) =>
    drawn(
      `trained [${n},${k}] in ${compute}${bias ? ' with bias' : ''}, ${T} rows`,
      { T },
      (d) => ({ x: d.x(['T', k]), w: d.x([n, k]), ...(bias ? { bias: d.x([n]) } : {}) }),
      compute === 'bf16' ? { compute } : {},
    ),
);

export const linear: readonly Sample[] = [...packed, ...trained];

interface Fused {
  readonly combine: Combine;
  readonly widths: readonly number[];
  readonly k: number;
}

const fusedShapes: readonly Fused[] = [
  { combine: 'one', widths: [20], k: 60 },
  { combine: 'gate', widths: [20, 20], k: 60 },
  { combine: 'gate', widths: [100, 100], k: 33 },
  { combine: 'concat', widths: [20, 20, 60], k: 60 },
  { combine: 'concat', widths: [64, 16, 16], k: 32 },
  { combine: 'concat', widths: [7, 129], k: 61 },
  { combine: 'concat', widths: [13], k: 5 },
];

interface Extras {
  readonly activation: Activation;
  /** Which weights have one. */
  readonly bias: readonly number[];
  readonly residual: boolean;
  readonly dtype: DType;
}

function operands(
  d: Draw,
  { widths, k }: Fused,
  { bias, residual, dtype }: Extras,
  total: number,
): Sample['inputs'] {
  return Object.fromEntries([
    ['x', d.x(['T', k])],
    ...widths.map((n, i) => [`w${i}`, d.param([n, k], dtype)]),
    ...widths.flatMap((n, i) => (bias.includes(i) ? [[`b${i}`, d.param([n])]] : [])),
    ...(residual ? [['residual', d.x(['T', total])]] : []),
  ]);
}

function fused(shape: Fused, extras: Extras, T: number): Sample {
  const { combine, widths, k } = shape;
  const { activation, bias, residual, dtype } = extras;
  const total = combine === 'concat' ? widths.reduce((a, b) => a + b, 0) : (widths[0] as number);
  const parts = [activation, bias.length > 0 && `bias ${bias.join('+')}`, residual && 'residual'].filter(
    Boolean,
  );
  const name = `${combine} ${widths.join('+')} of ${k}, ${parts.join(', ')}, ${dtype}, ${T} rows`;
  return drawn(name, { T }, (d) => operands(d, shape, extras, total), { combine, activation });
}

const plain: Extras = { activation: 'none', bias: [], residual: false, dtype: 'f32' };

export const fusedLinear: readonly Sample[] = [
  ...product(fusedShapes, types, [0, 1, 7, 129]).map(([shape, dtype, T]) =>
    fused(shape, { ...plain, dtype, activation: 'silu' }, T),
  ),
  ...product(fusedShapes.slice(0, 2), Object.keys(activations) as Activation[]).map(([shape, activation]) =>
    fused(shape, { ...plain, activation, bias: [0, 1] }, 9),
  ),
  ...product(fusedShapes, [[0], [1], [0, 2], [0, 1, 2]], [false, true])
    .filter(([{ widths }, bias]) => bias.every((b) => b < widths.length))
    .map(([shape, bias, residual]) => fused(shape, { ...plain, bias, residual }, 5)),
  fused(fusedShapes[1] as Fused, { activation: 'gelu_tanh', bias: [1], residual: true, dtype: 'bf16' }, 33),
];
