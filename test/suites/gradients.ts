// Backward ops: what a gradient rule applies where ordinary ops would be slow.
import { type DerivableFunction, unaryDerivatives } from '../../lib/ops/unary_grad.js';
import '../../lib/ops/reduce_grad.js';
import type { Shape } from '../../lib/ir/shape.js';
import { drawn, product, type Sample } from './suite.js';

const functions = Object.keys(unaryDerivatives) as DerivableFunction[];
export const unaryGrad: readonly Sample[] = product(functions, [0, 1, 33, 2400]).map(([fn, T]) =>
  drawn(
    `${fn} of ${T} rows`,
    { T },
    (d) => ({ v: d.x(['T', 7], { low: 0.1, high: 6 }), dy: d.x(['T', 7]) }),
    { fn },
  ),
);

const shapes: readonly (readonly [Shape, number])[] = [
  [['T', 19], 1],
  [['T', 19], 0],
  [['T', 3, 21], 1],
  [['T'], 0],
  [[4, 'T', 35], 0],
  [[4, 'T', 35], 1],
];
/** Few different numbers, so that some of the greatest have company. */
const coarse = (name: string, shape: Shape, axis: number, T: number): Sample => {
  const sample = drawn(name, { T }, (d) => ({ x: d.ids(shape, 5), dy: d.x(shape.with(axis, 1)) }));
  const [x, dy] = [sample.inputs.x, sample.inputs.dy];
  if (!x || !dy) return sample;
  const sizes = shape.map((d) => (d === 'T' ? T : Number(d)));
  const inner = sizes.slice(axis + 1).reduce((n, d) => n * d, 1);
  const n = sizes[axis] as number;
  const greatest = dy.data.map((_, at) => {
    const first = Math.floor(at / inner) * n * inner + (at % inner);
    return Array.from({ length: n }, (_, k) => x.data[first + k * inner] as number).reduce(
      (a, b) => Math.max(a, b),
      Number.NEGATIVE_INFINITY,
    );
  });
  const y = { ...dy, data: greatest };
  return {
    ...sample,
    inputs: { dy, x: { ...x, dtype: 'f32' }, y },
    attrs: { fn: 'max', axis, size: shape[axis] as number },
  };
};
export const reduceGrad: readonly Sample[] = product(shapes, [0, 1, 130]).flatMap(([[shape, axis], T]) => [
  drawn(
    `sum of [${shape.join()}] over axis ${axis}, T ${T}`,
    { T },
    (d) => ({ dy: d.x(shape.with(axis, 1)) }),
    { fn: 'sum', axis, size: shape[axis] as number },
  ),
  coarse(`max of [${shape.join()}] over axis ${axis}, T ${T}`, shape, axis, T),
]);
