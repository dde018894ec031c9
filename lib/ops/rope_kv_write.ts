import { defineOp, f32 } from '../ir/define_op.js';
import { expectShape, fixedDim } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { kvBlockSize, kvWrite } from './kv_write.js';
import { reshape } from './reshape.js';
import { rmsNorm } from './rms_norm.js';
import { rope } from './rope.js';
import { slice } from './slice.js';

interface RopeKvWriteAttrs extends Record<string, number | boolean> {
  /** Of q; 0: there is none. */
  readonly heads: number;
  readonly interleaved: boolean;
  /** Of the norms of q and k, where their weights are given. */
  readonly eps: number;
}

const ropeKvWriteOp = defineOp({
  kind: 'composite',
  name: 'rope_kv_write',
  inputs: ['qkv', 'k_cache', 'v_cache', 'slots', 'cos?', 'sin?', 'q_norm?', 'k_norm?'],
  outputs: ['q', 'k_cache', 'v_cache'],
  writes: { k_cache: 'k_cache', v_cache: 'v_cache' },
  infer({ qkv, k_cache, v_cache, slots }, { heads }: RopeKvWriteAttrs) {
    const [, , kvHeads, d] = k_cache.shape.map((n, i) =>
      i < 2 ? 0 : fixedDim('rope_kv_write', 'heads', n),
    ) as [number, number, number, number];
    const [t = 0] = qkv.shape;
    expectShape('rope_kv_write', 'qkv', qkv, [t, (heads + 2 * kvHeads) * d]);
    expectShape('rope_kv_write', 'k_cache', k_cache, [undefined, kvBlockSize, kvHeads, d]);
    expectShape('rope_kv_write', 'slots', slots, [t]);
    return { q: f32([t, heads, d]), k_cache, v_cache };
  },
  decompose({ qkv, k_cache, v_cache, slots, cos, sin, q_norm, k_norm }, { heads, interleaved, eps }) {
    const [t = 0] = qkv.shape;
    const [kvHeads, d] = k_cache.shape.slice(2) as [number, number];
    const part = (begin: number, count: number): Value =>
      reshape(slice(qkv, 1, begin * d, (begin + count) * d), [t, count, d]);
    const turn = (x: Value, norm: Value | undefined): Value => {
      const n = norm ? rmsNorm(x, norm, eps) : x;
      return cos && sin ? rope(n, cos, sin, interleaved) : n;
    };
    const caches = kvWrite({
      k: turn(part(heads, kvHeads), k_norm),
      v: part(heads + kvHeads, kvHeads),
      k_cache,
      v_cache,
      slots,
    });
    return { q: turn(part(0, heads), q_norm), ...caches };
  },
});

export type RopeKvWriteInputs = Parameters<typeof ropeKvWriteOp>[0];

/**
 * What lies between the projection of q, k and v (side by side) and attention: norms of the q and k heads, rotary positions, and
 * the write into the cache. qkv [T, (H + 2 Hkv)·D] → q [T, H, D] and the caches' next versions. H may be 0: keys and values alone.
 */
export const ropeKvWrite = (
  inputs: RopeKvWriteInputs,
  attrs: RopeKvWriteAttrs,
): ReturnType<typeof ropeKvWriteOp> => ropeKvWriteOp(inputs, attrs);
