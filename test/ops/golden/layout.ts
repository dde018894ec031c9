import type { Graph } from '../../../lib/ir/graph.js';
import type { Shape } from '../../../lib/ir/shape.js';
import type { Value } from '../../../lib/ir/value.js';
import { add, binary, mul, sub } from '../../../lib/ops/binary.js';
import { concat } from '../../../lib/ops/concat.js';
import { gatherRows } from '../../../lib/ops/gather_rows.js';
import { matmul } from '../../../lib/ops/matmul.js';
import { reduce } from '../../../lib/ops/reduce.js';
import { reshape } from '../../../lib/ops/reshape.js';
import { scalar } from '../../../lib/ops/scalar.js';
import { slice } from '../../../lib/ops/slice.js';
import { transpose } from '../../../lib/ops/transpose.js';
import { type Build, oneHot } from './operands.js';

const filled = (graph: Graph, shape: number[], value: number): Value =>
  graph.constant('f32', shape, new Array<number>(shape.reduce((n, d) => n * d, 1)).fill(value));
const turned = (x: Value, shape: Shape, axes: readonly number[], merged: Shape): Value =>
  reshape(transpose(reshape(x, shape), axes), merged);
/** a where the mask is 1, b where it is 0. */
const choose = (mask: Value, a: Value, b: Value): Value =>
  add(mul(mask, a), mul(sub(scalar(mask, 1), mask), b));

export const layout: Readonly<Record<string, Build>> = {
  outer: (o) => matmul(reshape(o.x(0), [7, 1]), reshape(o.x(1), [1, 5])),
  flip: (o) => {
    const rows = o.graph.constant('i32', [5], [4, 3, 2, 1, 0]);
    return transpose(gatherRows(transpose(o.x(0), [1, 0]), rows), [1, 0]);
  },
  roll: (o) => {
    const down = concat(slice(o.x(0), 0, 2, 4), slice(o.x(0), 0, 0, 2), 0);
    return concat(slice(down, 1, 1, 5), slice(down, 1, 0, 1), 1);
  },
  tril: (o) => {
    const mask = Array.from({ length: 20 }, (_, i) => (i % 5 < Math.floor(i / 5) ? 1 : 0));
    return mul(o.x(0), o.graph.constant('f32', [4, 5], mask));
  },
  repeat_interleave_3: (o) => {
    const x = reshape(o.x(0), [4, 5, 1]);
    return reshape(concat(concat(x, x, 2), x, 2), [4, 15]);
  },
  pixel_shuffle_2: (o) => turned(o.x(0), [2, 2, 2, 2, 3, 5], [0, 1, 4, 2, 5, 3], [2, 2, 6, 10]),
  pixel_unshuffle_2: (o) => turned(o.x(0), [2, 2, 3, 2, 2, 2], [0, 1, 3, 5, 2, 4], [2, 8, 3, 2]),
  pad_const_neg: (o) => {
    const wide = concat(slice(o.x(0), 3, 1, 9), filled(o.graph, [1, 2, 7, 2], 0.5), 3);
    return concat(filled(o.graph, [1, 2, 3, 10], 0.5), slice(wide, 2, 0, 5), 2);
  },
  where: (o) => choose(o.x(0), o.x(1), o.x(2)),
  masked_fill: (o) => choose(o.x(1), scalar(o.x(0), -7.5), o.x(0)),
  index_select: (o) => transpose(gatherRows(transpose(o.x(0), [1, 0, 2]), o.ids(1)), [1, 0, 2]),
  gather_1: (o) => {
    const index = o.graph.constant('f32', [6, 1], [0, 1, 2, 3, 4, 5]);
    const chosen = binary('equal', reshape(o.x(1), [3, 2, 1, 4]), index);
    return reduce('sum', mul(chosen, reshape(o.x(0), [3, 1, 6, 4])), 2);
  },
  scatter_add: (o) => {
    const places = mul(oneHot(reshape(o.x(1), [3, 9, 1]), o.graph, 6), reshape(o.x(2), [3, 9, 1]));
    return add(reshape(o.x(0), [3, 1, 6]), reduce('sum', places, 1));
  },
};
