import type { DType } from '../../lib/dtype.js';
import '../../lib/ops/embedding.js';
import '../../lib/ops/embedding_grad.js';
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
  drawn('a table that is a state', { T: 40 }, (d) => ({
    w: d.state([50, 33]),
    ids: d.ids(['T'], 50),
  })),
];

export const embeddingGrad: readonly Sample[] = product([1, 20, 300, 700], [1, 16, 37], [0, 1, 500]).map(
  ([rows, c, T]) =>
    drawn(`${T} rows of ${c} into ${rows}`, { T }, (d) => ({ ids: d.ids(['T'], rows), dy: d.x(['T', c]) }), {
      rows,
    }),
);
