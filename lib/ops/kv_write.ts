import { defineOp } from '../ir/define_op.js';
import { expectShape } from '../ir/shape.js';
import type { Value } from '../ir/value.js';

/** Positions of a KV block: the unit in which cache memory is given out and shared. */
export const kvBlockSize = 16;

const kvWriteOp = defineOp({
  kind: 'primitive',
  name: 'kv_write',
  inputs: ['k', 'v', 'k_cache', 'v_cache', 'slots'],
  outputs: ['k_cache', 'v_cache'],
  writes: { k_cache: 'k_cache', v_cache: 'v_cache' },
  infer({ k, v, k_cache, v_cache, slots }, _attrs: Record<string, never>) {
    const [t, h, d] = k.shape;
    expectShape('kv_write', 'v', v, [t, h, d]);
    expectShape('kv_write', 'k_cache', k_cache, [undefined, kvBlockSize, h, d]);
    expectShape('kv_write', 'v_cache', v_cache, k_cache.shape);
    expectShape('kv_write', 'slots', slots, [t]);
    return { k_cache, v_cache };
  },
  gradient: 'none',
  onnx: ({ inputs: { k, v, k_cache, v_cache, slots }, onnx }) => ({
    k_cache: onnx.writeRows(k_cache, 2, slots.id, k.id),
    v_cache: onnx.writeRows(v_cache, 2, slots.id, v.id),
  }),
  reference({ k, v, slots }, _attrs, { k_cache, v_cache }) {
    const width = (k.shape[1] as number) * (k.shape[2] as number);
    slots.data.forEach((slot, t) => {
      if (slot < 0) return;
      k_cache.data.set(k.data.subarray(t * width, (t + 1) * width), slot * width);
      v_cache.data.set(v.data.subarray(t * width, (t + 1) * width), slot * width);
    });
  },
});

/**
 * Stores the keys and values of T rows at their slots (block · 16 + place; negative: nowhere).
 * k, v [T, Hkv, D]; caches [blocks, 16, Hkv, D]; slots i32 [T] → the caches' next versions.
 */
export const kvWrite = (
  inputs: Parameters<typeof kvWriteOp>[0],
): { readonly k_cache: Value; readonly v_cache: Value } => kvWriteOp(inputs, {});
