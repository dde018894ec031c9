import { defineOp, f32 } from '../ir/define_op.js';
import { ShapeError, showType } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { embeddingGrad } from './embedding_grad.js';

const embeddingOp = defineOp({
  kind: 'primitive',
  name: 'embedding',
  inputs: ['w', 'ids'],
  outputs: ['y'],
  infer({ w, ids }, _attrs: Record<string, never>) {
    const [, c] = w.shape;
    if (c === undefined) throw new ShapeError(`embedding: expected a table of [V,C], got ${showType(w)}`);
    return { y: f32([...ids.shape, c]) };
  },
  gradient: ({ inputs: { w, ids }, gradients: { y: dy } }) =>
    dy ? { w: embeddingGrad(ids, dy, w.shape[0] ?? 0) } : {},
  onnx({ inputs: { w, ids }, onnx }) {
    // Gathered as it is stored, and widened after.
    const y = onnx.op('Gather', [w.id, ids.id]);
    return { y: w.dtype === 'f32' ? y : onnx.cast('f32', y) };
  },
  reference({ w, ids }, _attrs, { y }) {
    const c = w.shape[1] as number;
    ids.data.forEach((id, i) => {
      y.data.set(w.data.subarray(id * c, (id + 1) * c), i * c);
    });
  },
});

/** y[i] = w[ids[i]]. w [V, C], ids i32 [...] → [..., C]. */
export const embedding = (w: Value, ids: Value): Value => embeddingOp({ w, ids }, {}).y;
