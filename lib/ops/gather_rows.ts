import { defineOp } from '../ir/define_op.js';
import { expectShape, sizeOf } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { embeddingGrad } from './embedding_grad.js';
import { reshape } from './reshape.js';

const gatherRowsOp = defineOp({
  kind: 'primitive',
  name: 'gather_rows',
  inputs: ['x', 'rows'],
  outputs: ['y'],
  infer({ x, rows }, _attrs: Record<string, never>) {
    expectShape('gather_rows', 'rows', rows, [undefined]);
    return { y: { dtype: x.dtype, shape: [rows.shape[0] ?? 0, ...x.shape.slice(1)] } };
  },
  gradient({ inputs: { x, rows }, gradients: { y: dy } }) {
    if (!dy || x.dtype !== 'f32') return {};
    const width = sizeOf(x.shape.slice(1));
    const dx = embeddingGrad(rows, reshape(dy, [rows.shape[0] ?? 0, width]), x.shape[0] ?? 0);
    return { x: reshape(dx, x.shape) };
  },
  onnx: ({ inputs: { x, rows }, onnx }) => ({ y: onnx.op('Gather', [x.id, rows.id]) }),
  reference({ x, rows }, _attrs, { y }) {
    const width = x.shape.slice(1).reduce((a, d) => a * d, 1);
    rows.data.forEach((r, i) => {
      y.data.set(x.data.subarray(r * width, (r + 1) * width), i * width);
    });
  },
});

/** y[i] = x[rows[i]]. x [T, ...], rows i32 [R] → [R, ...]. */
export const gatherRows = (x: Value, rows: Value): Value => gatherRowsOp({ x, rows }, {}).y;
