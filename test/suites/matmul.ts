import type { Shape } from '../../lib/ir/shape.js';
import '../../lib/ops/matmul.js';
import '../../lib/ops/matmul_add.js';
import { drawn, product, type Sample } from './suite.js';

const shapes: readonly (readonly [Shape, Shape])[] = [
  [
    ['T', 7],
    [7, 4],
  ],
  [
    ['T', 60],
    [60, 20],
  ],
  [
    ['T', 333],
    [333, 200],
  ],
  [
    ['T', 1],
    [1, 1],
  ],
  [
    [3, 'T', 7],
    [3, 7, 6],
  ],
  [
    [2, 1, 'T', 7],
    [1, 3, 7, 4],
  ],
  [
    [2, 3, 'T', 5],
    [1, 3, 5, 17],
  ],
  [
    [1, 'T', 5],
    [4, 5, 33],
  ],
  // The inner axis has the size that a run gives it.
  [
    [2, 5, 'T'],
    [2, 'T', 18],
  ],
];

const plain = { transposeA: false, transposeB: false, compute: 'f32' };

/** [a, b] with the inner axis of T, or a right side that was transposed. */
const transposed: readonly (readonly [Shape, Shape, boolean, boolean])[] = [
  [['T', 20], ['T', 33], true, false],
  [['T', 70], ['T', 64], true, false],
  [['T', 37], [20, 37], false, true],
  [['T', 96], [50, 96], false, true],
  [['T', 7], [19, 'T'], true, true],
  [[3, 'T', 5], [1, 'T', 18], true, false],
  [[1, 'T', 9], [2, 40, 9], false, true],
];

export const samples: readonly Sample[] = [
  ...product(shapes, [0, 1, 3, 129]).map(([[a, b], T]) =>
    drawn(`[${a.join()}] by [${b.join()}], T ${T}`, { T }, (d) => ({ a: d.x(a), b: d.x(b) }), plain),
  ),
  ...product(transposed, ['f32', 'bf16'], [0, 1, 2, 31, 130]).map(
    ([[a, b, transposeA, transposeB], compute, T]) => {
      const show = (shape: Shape, turned: boolean): string => `[${shape.join()}]${turned ? 'ᵀ' : ''}`;
      return drawn(
        `${show(a, transposeA)} by ${show(b, transposeB)} in ${compute}, T ${T}`,
        { T },
        (d) => ({ a: d.x(a), b: d.x(b) }),
        { transposeA, transposeB, compute },
      );
    },
  ),
];

/** [a, b, M, N]: what is added has the result's shape. */
const sums: readonly (readonly [Shape, Shape, Shape, boolean, boolean])[] = [
  [['T', 20], [20, 33], ['T', 33], false, false],
  [['T', 37], [64, 37], ['T', 64], false, true],
  [['T', 40], ['T', 16], [40, 16], true, false],
];

export const matmulAdd: readonly Sample[] = product(
  sums,
  ['f32', 'bf16'],
  [false, true],
  [0, 1, 31, 130],
).map(([[a, b, y, transposeA, transposeB], compute, bias, T]) =>
  drawn(
    `[${a.join()}] by [${b.join()}] in ${compute}${bias ? ' with bias' : ''}, T ${T}`,
    { T },
    (d) => ({
      a: d.x(a),
      b: d.x(b),
      ...(bias ? { bias: d.x(y.slice(-1)) } : {}),
      residual: d.x(y),
    }),
    { transposeA, transposeB, compute },
  ),
);
