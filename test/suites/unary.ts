import { type UnaryFunction, unaryFunctions } from '../../lib/ops/unary.js';
import { drawn, product, type Sample } from './suite.js';

const functions = Object.keys(unaryFunctions) as UnaryFunction[];
/** Where a function is tried; elsewhere −6 … 6. */
const ranges: Partial<Record<UnaryFunction, { low: number; high: number }>> = {
  log: { low: 1e-6, high: 40 },
  sqrt: { low: 0, high: 1e4 },
  rsqrt: { low: 1e-3, high: 40 },
  exp: { low: -20, high: 10 },
  sin: { low: -300, high: 300 },
  cos: { low: -300, high: 300 },
};

const { NaN: nan, POSITIVE_INFINITY: high, NEGATIVE_INFINITY: low } = Number;
// Not the infinities of sin and cos, nor huge angles: what a C library does there differs.
const special = [nan, 0, -0, 1, -1, 1e-30, -1e-30, 88, -88, 104, -104, 1e-7, 0.5, -0.5, 3.9, -3.9, 10];

export const samples: readonly Sample[] = [
  ...product(functions, [0, 1, 33, 2400]).map(([fn, T]) =>
    drawn(`${fn} of ${T} rows`, { T }, (d) => ({ x: d.x(['T', 7], ranges[fn] ?? { low: -6, high: 6 }) }), {
      fn,
    }),
  ),
  ...functions.map(
    (fn): Sample => ({
      name: `${fn} of what is special`,
      inputs: {
        x: {
          dtype: 'f32',
          shape: ['T'],
          data: fn === 'sin' || fn === 'cos' ? special : [...special, high, low, high, 3e38, -3e38],
        },
      },
      attrs: { fn },
      dims: { T: special.length + (fn === 'sin' || fn === 'cos' ? 0 : 5) },
    }),
  ),
];
