import type { DType } from '../../lib/dtype.js';
import '../../lib/ops/embedding.js';
import { drawn, product, type Sample } from './suite.js';

const tables: readonly (readonly [number, number])[] = [
  [1, 1],
  [7, 4],
  [50, 33],
  [200, 61],
];

export const samples: readonly Sample[] = [
  ...product(['f32', 'f16', 'bf16', 'q8'] as readonly DType[], tables, [0, 1, 130]).map(
    ([dtype, [v, c], T]) =>
      drawn(`${dtype} [${v},${c}], ${T} ids`, { T }, (d) => ({
        w: d.param([v, c], dtype),
        ids: d.ids(['T'], v),
      })),
  ),
  drawn('ids of two axes', { T: 4 }, (d) => ({ w: d.param([9, 18]), ids: d.ids([2, 'T'], 9) })),
];
