import '../../lib/ops/attention.js';
import '../../lib/ops/attention_grad.js';
import '../../lib/ops/paged_attention.js';
import { shuffled } from '../random.js';
import { type Draw, drawn, product, type Sample } from './suite.js';

interface Heads {
  readonly h: number;
  readonly kv: number;
  readonly d: number;
}
/** [query rows, keys] of each sequence. */
type Lengths = readonly (readonly [number, number])[];
interface Mask {
  readonly name: string;
  readonly causal?: boolean;
  readonly window?: number;
  readonly softcap?: number;
  readonly alibi?: boolean;
}

const shapes: readonly Heads[] = [
  { h: 4, kv: 4, d: 16 },
  { h: 6, kv: 2, d: 20 },
  { h: 5, kv: 1, d: 7 },
  { h: 8, kv: 2, d: 64 },
];
const lengths: Readonly<Record<string, Lengths>> = {
  'no rows': [],
  'one token': [[1, 1]],
  prefill: [[40, 40]],
  decode: [
    [1, 17],
    [1, 1],
    [1, 64],
    [1, 65],
    [1, 130],
  ],
  'chunk after a cache': [[33, 100]],
  mixed: [
    [1, 90],
    [17, 17],
    [0, 20],
    [5, 70],
    [2, 2],
  ],
};
const masks: readonly Mask[] = [
  { name: 'causal' },
  { name: 'all', causal: false },
  { name: 'window 4', window: 4 },
  { name: 'window 70', window: 70 },
  { name: 'window of one side', window: 9, causal: false },
  { name: 'soft cap', softcap: 5 },
  { name: 'ALiBi', alibi: true },
  { name: 'everything', window: 30, softcap: 3, alibi: true },
];

const attrs = (mask: Mask, d: number): Sample['attrs'] => ({
  scale: 2 / Math.sqrt(d),
  causal: mask.causal ?? true,
  window: mask.window ?? 0,
  softcap: mask.softcap ?? 0,
});
const starts = (counts: readonly number[]): number[] =>
  [0, ...counts].map((_, i) => counts.slice(0, i).reduce((a, b) => a + b, 0));
const slopes = (d: Draw, mask: Mask, h: number): Sample['inputs'] =>
  mask.alibi ? { slopes: { ...d.x([h], { low: 0, high: 0.5 }), from: 'const' } } : {};
const title = ({ h, kv, d }: Heads, rows: string, mask: Mask): string =>
  `${rows}, ${mask.name}, ${h}/${kv} heads of ${d}`;

function paged(heads: Heads, [rows, sequences]: [string, Lengths], mask: Mask): Sample {
  const { h, kv, d } = heads;
  const needs = sequences.map(([, keys]) => Math.ceil(keys / 16));
  const blocks = needs.reduce((a, b) => a + b, 2);
  const width = Math.max(1, ...needs) + 1;
  const T = sequences.reduce((n, [q]) => n + q, 0);
  const B = sequences.length;
  return drawn(
    title(heads, rows, mask),
    { T, B, B1: B + 1, MB: width },
    (g) => {
      const order = shuffled(g.next, blocks);
      // Blocks past a sequence's last one are never looked at.
      const table = needs.flatMap((n) =>
        Array.from({ length: width }, (_, i) => (i < n ? (order.pop() as number) : -7)),
      );
      return {
        q: g.x(['T', h, d]),
        k_cache: g.cache([blocks, 16, kv, d]),
        v_cache: g.cache([blocks, 16, kv, d]),
        q_starts: g.i32(starts(sequences.map(([q]) => q)), ['B1']),
        context_lens: g.i32(
          sequences.map(([, keys]) => keys),
          ['B'],
        ),
        block_tables: g.i32(table, ['B', 'MB']),
        ...slopes(g, mask, h),
      };
    },
    attrs(mask, d),
  );
}

/** With `grad` an operand of attention_grad more. */
function packed(heads: Heads, [rows, sequences]: [string, Lengths], mask: Mask, grad = false): Sample {
  const { h, kv, d } = heads;
  const T = sequences.reduce((n, [q]) => n + q, 0);
  const S = sequences.reduce((n, [, keys]) => n + keys, 0);
  return drawn(
    title(heads, rows, mask),
    { T, S, B1: sequences.length + 1 },
    (g) => ({
      q: g.x(['T', h, d]),
      k: g.x(['S', kv, d]),
      v: g.x(['S', kv, d]),
      ...(grad ? { dy: g.x(['T', h, d]) } : {}),
      q_starts: g.i32(starts(sequences.map(([q]) => q)), ['B1']),
      k_starts: g.i32(starts(sequences.map(([, keys]) => keys)), ['B1']),
      ...slopes(g, mask, h),
    }),
    attrs(mask, d),
  );
}

const rowCases = Object.entries(lengths);
const wide: [string, Lengths] = [
  'more queries than keys',
  [
    [9, 3],
    [2, 0],
    [1, 40],
  ],
];
const every = masks[1] as Mask;

export const pagedAttention: readonly Sample[] = [
  ...product(shapes, rowCases).map(([heads, rows]) => paged(heads, rows, masks[0] as Mask)),
  ...product(shapes.slice(1, 3), rowCases.slice(2), masks.slice(1)).map(([heads, rows, mask]) =>
    paged(heads, rows, mask),
  ),
  ...shapes.map((heads) => paged(heads, wide, every)),
];

export const attention: readonly Sample[] = [
  ...product(shapes, rowCases).map(([heads, rows]) => packed(heads, rows, masks[0] as Mask)),
  ...product(
    shapes.slice(1, 3),
    [rowCases[4] as [string, Lengths], rowCases[5] as [string, Lengths]],
    masks.slice(1),
  ).map(([heads, rows, mask]) => packed(heads, rows, mask)),
  ...shapes.map((heads) => packed(heads, wide, every)),
];

const documents: [string, Lengths] = [
  'documents',
  [
    [50, 50],
    [23, 23],
    [1, 1],
    [0, 0],
    [100, 100],
  ],
];

export const attentionGrad: readonly Sample[] = [
  ...product(shapes, [...rowCases, documents]).map(([heads, rows]) =>
    packed(heads, rows, masks[0] as Mask, true),
  ),
  ...product(shapes.slice(1, 3), [documents, rowCases[5] as [string, Lengths]], masks.slice(1)).map(
    ([heads, rows, mask]) => packed(heads, rows, mask, true),
  ),
  ...shapes.map((heads) => packed(heads, wide, every, true)),
];
