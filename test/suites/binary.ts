import type { Shape } from '../../lib/ir/shape.js';
import { type BinaryFunction, binaryFunctions } from '../../lib/ops/binary.js';
import { drawn, product, type Sample } from './suite.js';

const functions = Object.keys(binaryFunctions) as BinaryFunction[];
const shapes: readonly (readonly [string, Shape, Shape])[] = [
  ['same shape', ['T', 19], ['T', 19]],
  ['a row', ['T', 19], [19]],
  ['a column', ['T', 19], ['T', 1]],
  ['a row on the left', [19], ['T', 19]],
  ['one number', ['T', 3, 5], [1]],
  ['no axes', ['T', 5], []],
  ['a middle axis', ['T', 3, 17], ['T', 1, 17]],
  ['outer', ['T', 1], [1, 18]],
  ['both stretched', ['T', 1, 6], [4, 1]],
  ['four axes', [2, 1, 'T', 5], [3, 1, 5]],
];
const { NaN: nan, POSITIVE_INFINITY: high, NEGATIVE_INFINITY: low } = Number;
const special = [nan, high, low, 0, -0, 1, -2.5];
const pairs = product(special, special);

export const samples: readonly Sample[] = [
  ...product(functions, shapes).map(([fn, [name, a, b]]) =>
    drawn(
      `${fn}, ${name}`,
      { T: 9 },
      (d) => ({
        a: d.x(a, fn === 'pow' ? { low: 0.1, high: 3 } : { low: -2, high: 2 }),
        b: d.x(b, fn === 'div' ? { low: 0.5, high: 3 } : { low: -2, high: 2 }),
      }),
      { fn },
    ),
  ),
  ...product(functions, [0, 1, 1025]).map(([fn, T]) =>
    drawn(
      `${fn} of ${T} rows`,
      { T },
      (d) => ({ a: d.x(['T', 33], { low: 1, high: 4 }), b: d.x([33], { low: 1, high: 4 }) }),
      { fn },
    ),
  ),
  ...functions.map(
    (fn): Sample => ({
      name: `${fn} of what is special`,
      inputs: {
        a: { dtype: 'f32', shape: ['T'], data: pairs.map(([a]) => a) },
        b: { dtype: 'f32', shape: ['T'], data: pairs.map(([, b]) => b) },
      },
      attrs: { fn },
      dims: { T: pairs.length },
    }),
  ),
  ...(['less', 'equal'] as const).map((fn) =>
    drawn(
      `${fn} of whole numbers`,
      { T: 40 },
      (d) => ({
        a: { ...d.ids(['T'], 3), dtype: 'f32' },
        b: { ...d.ids(['T'], 3), dtype: 'f32' },
      }),
      { fn },
    ),
  ),
];
