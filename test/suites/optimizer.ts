// Ops that change states in place, and the norm of gradients.
import '../../lib/ops/accumulate.js';
import '../../lib/ops/adamw.js';
import '../../lib/ops/ema.js';
import '../../lib/ops/fill.js';
import '../../lib/ops/sgd.js';
import '../../lib/ops/sum_squares.js';
import { drawn, product, type Sample, type SampleInput } from './suite.js';

const shapes: readonly (readonly number[])[] = [[1], [37], [5, 3, 4], [130, 257]];
const numbers = (...data: readonly number[]): SampleInput => ({ dtype: 'f32', shape: [data.length], data });

export const adamw: readonly Sample[] = product(shapes, [1, 300]).map(([shape, t]) =>
  drawn(`[${shape.join()}], step ${t}`, {}, (d) => ({
    param: d.state(shape),
    m: d.state(shape),
    v: d.state(shape, { low: 0, high: 1 }),
    grad: d.x(shape),
    hyper: numbers(0.01, 0.9, 0.999, 1e-8, 0.1, 1 - 0.9 ** t, 1 - 0.999 ** t, 0.25),
  })),
);

export const sgd: readonly Sample[] = product(shapes, [false, true]).map(([shape, nesterov]) =>
  drawn(
    `[${shape.join()}]${nesterov ? ', nesterov' : ''}`,
    {},
    (d) => ({
      param: d.state(shape),
      momentum: d.state(shape),
      grad: d.x(shape),
      hyper: numbers(0.1, 0.9, 0.01, 0.5),
    }),
    { nesterov },
  ),
);

export const ema: readonly Sample[] = shapes.map((shape) =>
  drawn(`[${shape.join()}]`, {}, (d) => ({
    average: d.state(shape),
    param: d.x(shape),
    decay: numbers(0.95),
  })),
);

export const accumulate: readonly Sample[] = shapes.map((shape) =>
  drawn(`[${shape.join()}]`, {}, (d) => ({ sum: d.state(shape), x: d.x(shape) })),
);

export const fill: readonly Sample[] = product(shapes, [0, -1.5]).map(([shape, value]) =>
  drawn(`[${shape.join()}] with ${value}`, {}, (d) => ({ x: d.state(shape) }), { value }),
);

export const sumSquares: readonly Sample[] = [...shapes, [0], [3, 100_001]].map((shape) =>
  drawn(`[${shape.join()}]`, {}, (d) => ({ x: d.x(shape) })),
);
