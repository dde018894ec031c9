import type { Shape } from '../../lib/ir/shape.js';
import '../../lib/ops/softmax.js';
import { drawn, product, type Sample } from './suite.js';

const logs = [false, true];
const shapes: readonly (readonly [Shape, number])[] = [
  [['T', 19], 1],
  [['T', 19], 0],
  [['T', 3, 21], 1],
  [['T', 1], 1],
  [['T', 2, 33], 2],
];
const none = Number.NEGATIVE_INFINITY;

export const samples: readonly Sample[] = [
  ...product(logs, shapes, [0, 1, 130]).map(([log, [shape, axis], T]) =>
    drawn(
      `${log ? 'log ' : ''}softmax of [${shape.join()}] over axis ${axis}, T ${T}`,
      { T },
      (d) => ({ x: d.x(shape, { low: -8, high: 8 }) }),
      { axis, log },
    ),
  ),
  ...logs.map((log) =>
    drawn(
      `${log ? 'log ' : ''}softmax of 5000`,
      { T: 5000 },
      (d) => ({ x: d.x([2, 'T'], { low: -30, high: 30 }) }),
      {
        axis: 1,
        log,
      },
    ),
  ),
  ...logs.map(
    (log): Sample => ({
      name: `${log ? 'log ' : ''}softmax of masked and large numbers`,
      inputs: {
        x: {
          dtype: 'f32',
          shape: [3, 4],
          data: [none, 1, none, 2, 1000, 999, -1000, none, -3e38, 3e38, 0, 3e38],
        },
      },
      attrs: { axis: 1, log },
      dims: {},
    }),
  ),
];
