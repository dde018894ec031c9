import type { Shape } from '../../lib/ir/shape.js';
import '../../lib/ops/matmul.js';
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

export const samples: readonly Sample[] = product(shapes, [0, 1, 3, 129]).map(([[a, b], T]) =>
  drawn(`[${a.join()}] by [${b.join()}], T ${T}`, { T }, (d) => ({ a: d.x(a), b: d.x(b) })),
);
