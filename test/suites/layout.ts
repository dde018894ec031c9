// Ops that move numbers and compute none: reshape, transpose, slice, concat, gather_rows.
import type { Dim, Shape } from '../../lib/ir/shape.js';
import '../../lib/ops/concat.js';
import '../../lib/ops/gather_rows.js';
import '../../lib/ops/pad.js';
import '../../lib/ops/reshape.js';
import '../../lib/ops/slice.js';
import '../../lib/ops/transpose.js';
import { drawn, product, type Sample } from './suite.js';

const rows = [0, 1, 130];
const over = <T>(cases: readonly T[], make: (given: T, T: number) => Sample): Sample[] =>
  product(cases, rows).map(([given, T]) => make(given, T));

const reshapes: readonly (readonly [Shape, Shape])[] = [
  [
    ['T', 12],
    ['T', 3, 4],
  ],
  [
    ['T', 3, 4],
    ['T', 12],
  ],
  [['T', 6], ['6*T']],
  [
    ['T', 5],
    ['T', 1, 5, 1],
  ],
];
export const reshape = over(reshapes, ([from, shape], T) =>
  drawn(`[${from.join()}] to [${shape.join()}], T ${T}`, { T }, (d) => ({ x: d.x(from) }), {
    shape: shape as readonly Dim[],
  }),
);

const transposes: readonly (readonly [Shape, readonly number[]])[] = [
  [
    ['T', 7],
    [1, 0],
  ],
  [
    ['T', 7],
    [0, 1],
  ],
  [
    ['T', 3, 5],
    [1, 0, 2],
  ],
  [
    ['T', 3, 5],
    [2, 1, 0],
  ],
  [
    [2, 'T', 3, 5],
    [0, 2, 1, 3],
  ],
  [
    [2, 'T', 3, 5],
    [3, 1, 0, 2],
  ],
  [
    [2, 1, 'T', 2, 3, 2],
    [5, 3, 2, 0, 1, 4],
  ],
];
export const transpose: readonly Sample[] = [
  ...over(transposes, ([shape, axes], T) =>
    drawn(`[${shape.join()}] by [${axes.join()}], T ${T}`, { T }, (d) => ({ x: d.x(shape) }), { axes }),
  ),
  drawn('integers', { T: 9 }, (d) => ({ x: d.ids(['T', 4], 1000) }), { axes: [1, 0] }),
];

const slices: readonly (readonly [Shape, number, number, number])[] = [
  [['T', 12], 1, 0, 5],
  [['T', 12], 1, 5, 12],
  [['T', 12], 1, 4, 4],
  [['T', 12], 1, 0, 12],
  [['T', 5, 7], 1, 2, 3],
  [['T', 5, 7], 2, 6, 7],
  [[6, 'T'], 0, 1, 5],
];
export const slice: readonly Sample[] = [
  ...over(slices, ([shape, axis, begin, end], T) =>
    drawn(
      `${begin} to ${end} of axis ${axis} of [${shape.join()}], T ${T}`,
      { T },
      (d) => ({ x: d.x(shape) }),
      {
        axis,
        begin,
        end,
      },
    ),
  ),
  drawn('integers', { T: 9 }, (d) => ({ x: d.ids(['T', 4], 1000) }), { axis: 1, begin: 1, end: 3 }),
];

const concats: readonly (readonly [Shape, Shape, number])[] = [
  [['T', 5], ['T', 7], 1],
  [['T', 5], ['T', 0], 1],
  [['T', 0], ['T', 3], 1],
  [['T', 5, 3], ['T', 2, 3], 1],
  [['T', 2, 16], ['T', 2, 1], 2],
  [[2, 'T'], [3, 'T'], 0],
];
export const concat: readonly Sample[] = [
  ...over(concats, ([a, b, axis], T) =>
    drawn(
      `[${a.join()}] and [${b.join()}] on axis ${axis}, T ${T}`,
      { T },
      (d) => ({ a: d.x(a), b: d.x(b) }),
      { axis },
    ),
  ),
  drawn('integers', { T: 9 }, (d) => ({ a: d.ids(['T', 4], 99), b: d.ids(['T', 1], 99) }), { axis: 1 }),
];

const gathers: readonly (readonly [Shape, number])[] = [
  [['T', 21], 7],
  [['T', 3, 5], 4],
  [['T'], 6],
  [['T', 21], 0],
];
export const gatherRows: readonly Sample[] = [
  ...product(gathers, [1, 130]).map(([[shape, R], T]) =>
    drawn(`${R} of [${shape.join()}], T ${T}`, { T, R }, (d) => ({ x: d.x(shape), rows: d.ids(['R'], T) })),
  ),
  drawn('integers', { T: 9, R: 5 }, (d) => ({ x: d.ids(['T', 4], 1000), rows: d.ids(['R'], 9) })),
];

export const pad = over(
  [
    [['T', 5], 1, 2, 1],
    [['T', 5], 1, 0, 0],
    [['T', 3, 4], 1, 0, 4],
    [[3, 'T'], 0, 1, 1],
    [[0, 'T'], 0, 2, 1],
  ] as readonly (readonly [Shape, number, number, number])[],
  ([shape, axis, before, after], T) =>
    drawn(
      `${before} and ${after} on axis ${axis} of [${shape.join()}], T ${T}`,
      { T },
      (d) => ({ x: d.x(shape) }),
      { axis, before, after },
    ),
);
