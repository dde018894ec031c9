// Ops that write the KV cache.
import '../../lib/ops/kv_copy.js';
import '../../lib/ops/kv_write.js';
import '../../lib/ops/rope_kv_write.js';
import { shuffled } from '../random.js';
import { type Draw, drawn, product, type Sample, type SampleInput } from './suite.js';

const heads: readonly (readonly [number, number])[] = [
  [1, 4],
  [2, 16],
  [3, 20],
];

/** Different places of the cache; every fifth row goes nowhere. */
function slots(d: Draw, count: number, blocks: number): SampleInput {
  const places = shuffled(d.next, blocks * 16);
  return d.i32(
    Array.from({ length: count }, (_, i) => (i % 5 === 4 ? -1 : (places[i] as number))),
    ['T'],
  );
}

export const kvWrite: readonly Sample[] = product(heads, [0, 1, 17, 40]).map(([[h, n], T]) =>
  drawn(`${h} heads of ${n}, ${T} rows`, { T }, (d) => ({
    k: d.x(['T', h, n]),
    v: d.x(['T', h, n]),
    k_cache: d.cache([3, 16, h, n]),
    v_cache: d.cache([3, 16, h, n]),
    slots: slots(d, T, 3),
  })),
);

export const kvCopy: readonly Sample[] = product(heads, [
  [],
  [[4, 1]],
  [
    [0, 3],
    [0, 2],
    [4, 1],
  ],
] as number[][][]).map(([[h, n], copies]) =>
  drawn(`${copies.length} blocks, ${h} heads of ${n}`, { P: copies.length }, (d) => ({
    k_cache: d.cache([5, 16, h, n]),
    v_cache: d.cache([5, 16, h, n]),
    from: d.i32(
      copies.map(([from = 0]) => from),
      ['P'],
    ),
    to: d.i32(
      copies.map(([, to = 0]) => to),
      ['P'],
    ),
  })),
);

interface Written {
  readonly h: number;
  readonly kv: number;
  readonly n: number;
  /** Half the rotated width; 0: no rope. */
  readonly half: number;
  readonly interleaved: boolean;
  readonly norm: 'none' | 'q' | 'k' | 'both';
}

function written(w: Written, T: number): Sample {
  const { h, kv, n, half, interleaved, norm } = w;
  const turned = half === 0 ? 'no rope' : `rope ${2 * half}${interleaved ? ' interleaved' : ''}`;
  const weight = (d: Draw): SampleInput => d.param([n], 'f32', { low: 0.5, high: 1.5 });
  return drawn(
    `${h}/${kv} heads of ${n}, ${turned}, norm of ${norm}, ${T} rows`,
    { T },
    (d) => ({
      qkv: d.x(['T', (h + 2 * kv) * n]),
      k_cache: d.cache([3, 16, kv, n]),
      v_cache: d.cache([3, 16, kv, n]),
      slots: slots(d, T, 3),
      ...(half > 0 ? { cos: d.x(['T', half]), sin: d.x(['T', half]) } : {}),
      ...(norm === 'q' || norm === 'both' ? { q_norm: weight(d) } : {}),
      ...(norm === 'k' || norm === 'both' ? { k_norm: weight(d) } : {}),
    }),
    { heads: h, interleaved, eps: 1e-6 },
  );
}

const shapes: readonly Pick<Written, 'h' | 'kv' | 'n' | 'half'>[] = [
  { h: 4, kv: 2, n: 16, half: 8 },
  { h: 5, kv: 1, n: 20, half: 10 },
  { h: 3, kv: 3, n: 20, half: 4 },
  { h: 2, kv: 2, n: 64, half: 32 },
  { h: 4, kv: 2, n: 7, half: 0 },
  { h: 0, kv: 2, n: 20, half: 0 },
];

export const ropeKvWrite: readonly Sample[] = product(
  shapes,
  [false, true],
  ['none', 'both'] as const,
  [0, 1, 33],
)
  .filter(([{ half }, interleaved]) => half > 0 || !interleaved)
  .map(([shape, interleaved, norm, T]) => written({ ...shape, interleaved, norm }, T))
  .concat(
    (['q', 'k'] as const).map((norm) =>
      written({ h: 4, kv: 2, n: 16, half: 8, interleaved: false, norm }, 7),
    ),
  );
