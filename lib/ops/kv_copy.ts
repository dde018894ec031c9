import { defineOp } from '../ir/define_op.js';
import type { OnnxName, OnnxValue } from '../ir/onnx_builder.js';
import { expectShape } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { kvBlockSize } from './kv_write.js';

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
  onnx({ inputs: { k_cache, v_cache, from, to }, onnx }) {
    const places = onnx.ints([...Array(kvBlockSize).keys()]);
    const rowsOf = (blocks: OnnxValue): OnnxName => {
      const first = onnx.op('Mul', [onnx.as('i64', blocks), onnx.ints([kvBlockSize])]);
      const rows = onnx.op('Add', [onnx.op('Unsqueeze', [first, onnx.ints([1])]), places]); // [P, 16]
      return onnx.op('Reshape', [rows, onnx.ints([-1])]);
    };
    const targets = onnx.cast('i32', rowsOf(to));
    const copy = (cache: OnnxValue): OnnxName =>
      onnx.writeRows(cache, 2, targets, onnx.readRows(cache, 2, rowsOf(from)));
    return { k_cache: copy(k_cache), v_cache: copy(v_cache) };
  },
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
