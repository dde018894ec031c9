import '../../lib/ops/padded_attention.js';
import { drawn, product, type Sample } from './suite.js';

interface Batch {
  readonly name: string;
  readonly P: number;
  readonly S: number;
  /** Places without a token before and behind those of each sequence. */
  readonly padding: readonly (readonly [number, number])[];
}

const batches: readonly Batch[] = [
  { name: 'a prompt', P: 0, S: 9, padding: [[0, 0]] },
  { name: 'a token after others', P: 20, S: 1, padding: [[0, 0]] },
  { name: 'a chunk after others', P: 33, S: 17, padding: [[0, 0]] },
  {
    name: 'padded on the left',
    P: 0,
    S: 8,
    padding: [
      [5, 0],
      [0, 0],
      [8, 0],
    ],
  },
  {
    name: 'padded on the right',
    P: 0,
    S: 8,
    padding: [
      [0, 3],
      [0, 0],
    ],
  },
  {
    name: 'padded on the left, later',
    P: 12,
    S: 3,
    padding: [
      [7, 0],
      [0, 0],
      [13, 0],
    ],
  },
];
const heads = [
  { h: 4, kv: 4, d: 16 },
  { h: 6, kv: 2, d: 20 },
  { h: 5, kv: 1, d: 7 },
];
const masks = [
  { name: 'all', window: 0, softcap: 0, alibi: false },
  { name: 'window 4', window: 4, softcap: 0, alibi: false },
  { name: 'soft cap and ALiBi', window: 0, softcap: 3, alibi: true },
];

export const samples: readonly Sample[] = product(batches, heads, masks).map(
  ([batch, { h, kv, d }, mask]) => {
    const { P, S, padding } = batch;
    const L = P + S;
    return drawn(
      `${batch.name}, ${mask.name}, ${h}/${kv} heads of ${d}`,
      { B: padding.length, S, P, L },
      (g) => ({
        q: g.x(['B', 'S', h, d]),
        k: g.x(['B', 'S', kv, d]),
        v: g.x(['B', 'S', kv, d]),
        past_k: g.x(['B', kv, 'P', d]),
        past_v: g.x(['B', kv, 'P', d]),
        mask: g.i32(
          padding.flatMap(([before, behind]) =>
            Array.from({ length: L }, (_, j) => (j >= before && j < L - behind ? 1 : 0)),
          ),
          ['B', 'L'],
        ),
        ...(mask.alibi ? { slopes: { ...g.x([h], { low: 0, high: 0.5 }), from: 'const' as const } } : {}),
      }),
      { scale: 2 / Math.sqrt(d), window: mask.window, softcap: mask.softcap },
    );
  },
);
