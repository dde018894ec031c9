import { defineOp, f32 } from '../ir/define_op.js';
import { broadcastShapes, ShapeError, showType } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { reshape } from './reshape.js';
import { broadcastStrides, walk } from './strides.js';

const matmulOp = defineOp({
  kind: 'primitive',
  name: 'matmul',
  inputs: ['a', 'b'],
  outputs: ['y'],
  infer({ a, b }, _attrs: Record<string, never>) {
    const [m, k] = a.shape.slice(-2);
    const [k2, n] = b.shape.slice(-2);
    if (m === undefined || k === undefined || n === undefined || k !== k2) {
      throw new ShapeError(
        `matmul: expected [..., M, K] and [..., K, N], got ${showType(a)} and ${showType(b)}`,
      );
    }
    return { y: f32([...broadcastShapes('matmul', a.shape.slice(0, -2), b.shape.slice(0, -2)), m, n]) };
  },
  gradient: 'pending',
  onnx: ({ inputs: { a, b }, onnx }) => ({ y: onnx.op('MatMul', [onnx.as('f32', a), onnx.as('f32', b)]) }),
  reference({ a, b }, _attrs, { y }) {
    const batch = y.shape.slice(0, -2);
    const [m, n] = y.shape.slice(-2) as [number, number];
    const k = a.shape.at(-1) as number;
    const strides = [a, b].map((t) => broadcastStrides(t.shape.slice(0, -2), batch.length));
    walk(batch, strides, (i, [ia, ib]) => {
      for (let r = 0; r < m; r++) {
        for (let c = 0; c < n; c++) {
          let sum = 0;
          for (let j = 0; j < k; j++) {
            sum +=
              (a.data[((ia as number) * m + r) * k + j] as number) *
              (b.data[((ib as number) * k + j) * n + c] as number);
          }
          y.data[(i * m + r) * n + c] = sum;
        }
      }
    });
  },
});

/** y = a·b over the last two axes; the axes before broadcast. a [..., M, K], b [..., K, N] → [..., M, N]. */
export function matmul(a: Value, b: Value): Value {
  const rank = Math.max(a.shape.length, b.shape.length);
  const [x, w] = [a, b].map((v) =>
    v.shape.length === rank
      ? v
      : reshape(v, [...new Array<number>(rank - v.shape.length).fill(1), ...v.shape]),
  );
  return matmulOp({ a: x as Value, b: w as Value }, {}).y;
}
