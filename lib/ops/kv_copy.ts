import { defineOp } from '../ir/define_op.js';
import { expectShape } from '../ir/shape.js';
import type { Value } from '../ir/value.js';

const kvCopyOp = defineOp({
  kind: 'primitive',
  name: 'kv_copy',
  inputs: ['k_cache', 'v_cache', 'from', 'to'],
  outputs: ['k_cache', 'v_cache'],
  writes: { k_cache: 'k_cache', v_cache: 'v_cache' },
  infer({ k_cache, v_cache, from, to }, _attrs: Record<string, never>) {
    expectShape('kv_copy', 'v_cache', v_cache, k_cache.shape);
    expectShape('kv_copy', 'to', to, from.shape);
    return { k_cache, v_cache };
  },
  gradient: 'none',
  onnx: 'pending',
  reference({ k_cache: before, v_cache: valuesBefore, from, to }, _attrs, { k_cache, v_cache }) {
    const block = before.shape.slice(1).reduce((a, d) => a * d, 1);
    from.data.forEach((source, i) => {
      const target = (to.data[i] as number) * block;
      k_cache.data.set(before.data.subarray(source * block, (source + 1) * block), target);
      v_cache.data.set(valuesBefore.data.subarray(source * block, (source + 1) * block), target);
    });
  },
});

/**
 * Copies whole blocks of a layer's cache, where a sequence goes on from a block that others share. No block is both a source and a
 * target. Caches [blocks, 16, Hkv, D], from and to i32 [P] → the caches' next versions.
 */
export const kvCopy = (
  inputs: Parameters<typeof kvCopyOp>[0],
): { readonly k_cache: Value; readonly v_cache: Value } => kvCopyOp(inputs, {});
