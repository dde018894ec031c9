import type { Shape } from '../../lib/ir/shape.js';
import { type ReduceFunction, reduceFunctions } from '../../lib/ops/reduce.js';
import { drawn, product, type Sample } from './suite.js';

const functions = Object.keys(reduceFunctions) as ReduceFunction[];
const shapes: readonly (readonly [Shape, number])[] = [
  [['T', 19], 1],
  [['T', 19], 0],
  [['T', 3, 21], 1],
  [['T', 7, 2], 2],
  [['T'], 0],
  [[4, 'T', 35], 0],
  [[4, 'T', 35], 1],
];

export const samples: readonly Sample[] = [
  ...product(functions, shapes, [0, 1, 130]).map(([fn, [shape, axis], T]) =>
    drawn(`${fn} of [${shape.join()}] over axis ${axis}, T ${T}`, { T }, (d) => ({ x: d.x(shape) }), {
      fn,
      axis,
    }),
  ),
  ...product(functions, [1, 0]).map(([fn, axis]) =>
    drawn(
      `${fn} of 5000 over axis ${axis}`,
      { T: 5000 },
      (d) => ({ x: d.x(axis === 1 ? [3, 'T'] : ['T', 3]) }),
      { fn, axis },
    ),
  ),
  ...product(functions, [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]).map(
    ([fn, odd]): Sample => ({
      name: `${fn} with a ${odd}`,
      inputs: { x: { dtype: 'f32', shape: [3, 4], data: [1, 2, odd, 3, 4, 5, 6, 7, odd, odd, odd, odd] } },
      attrs: { fn, axis: 1 },
      dims: {},
    }),
  ),
];
