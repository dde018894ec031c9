import '../../lib/ops/rope.js';
import '../../lib/ops/rope_table.js';
import { drawn, product, type Sample, type SampleInput } from './suite.js';

const frequencies = (sets: number, half: number): SampleInput => ({
  dtype: 'f32',
  shape: [sets, half],
  data: Array.from({ length: sets * half }, (_, i) =>
    Math.fround((10_000 * (1 + Math.floor(i / half))) ** (-(i % half) / half)),
  ),
});

export const ropeTable: readonly Sample[] = [
  ...product([1, 10, 32], [0, 1, 130], [2, 4096]).map(([half, T, below]) =>
    drawn(
      `half ${half}, ${T} positions below ${below}`,
      { T },
      (d) => ({ positions: d.ids(['T'], below), inv_freq: { ...frequencies(1, half), from: 'const' } }),
      { scale: 1 },
    ),
  ),
  drawn(
    'sets of frequencies, scaled',
    { T: 21, S: 3 },
    (d) => ({
      positions: d.ids(['T'], 900),
      inv_freq: { ...frequencies(3, 9), shape: ['S', 9] },
      set: d.ids(['T'], 3),
    }),
    { scale: 1.25 },
  ),
];

const angle = { low: -1, high: 1 };

export const rope: readonly Sample[] = product(
  [
    [16, 8],
    [20, 10],
    [64, 32],
    [20, 4],
    [34, 1],
  ],
  [false, true],
  [0, 1, 33],
).map(([[d = 0, half = 0], interleaved, T]) =>
  drawn(
    `${interleaved ? 'interleaved' : 'halves'}, ${2 * half} of ${d}, ${T} rows`,
    { T },
    (g) => ({ x: g.x(['T', 3, d]), cos: g.x(['T', half], angle), sin: g.x(['T', half], angle) }),
    { interleaved },
  ),
);
