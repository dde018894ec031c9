import { isFloat } from '../dtype.js';
import { defineOp, f32 } from '../ir/define_op.js';
import { expectShape, ShapeError, showType } from '../ir/shape.js';
import type { Value } from '../ir/value.js';

const linearOp = defineOp({
  kind: 'primitive',
  name: 'linear',
  inputs: ['x', 'w', 'bias?'],
  outputs: ['y'],
  infer({ x, w, bias }, _attrs: Record<string, never>) {
    const [n] = w.shape;
    if (n === undefined || !isFloat(w.dtype))
      throw new ShapeError(`linear: expected a weight of [N,K], got ${showType(w)}`);
    expectShape('linear', 'w', w, [n, x.shape.at(-1)]);
    if (bias) expectShape('linear', 'bias', bias, [n]);
    return { y: f32([...x.shape.slice(0, -1), n]) };
  },
  gradient: 'pending',
  onnx({ inputs: { x, w, bias }, outputs: { y }, onnx }) {
    const [, k = 0] = w.shape;
    const flat = x.shape.length === 2;
    const rows = flat
      ? onnx.as('f32', x)
      : onnx.op('Reshape', [onnx.as('f32', x), onnx.ints([-1, Number(k)])]);
    const product = onnx.op('Gemm', [rows, onnx.as('f32', w), bias && onnx.as('f32', bias)], { transB: 1n });
    return { y: flat ? product : onnx.reshape(product, y.shape) };
  },
  reference({ x, w, bias }, _attrs, { y }) {
    const [n, k] = w.shape as [number, number];
    for (let r = 0; r * n < y.data.length; r++) {
      const row = x.data.subarray(r * k, (r + 1) * k);
      for (let c = 0; c < n; c++) {
        let sum = 0;
        for (let j = 0; j < k; j++) sum += (row[j] as number) * (w.data[c * k + j] as number);
        y.data[r * n + c] = sum + (bias?.data[c] ?? 0);
      }
    }
  },
});

/** y = x·Wᵀ + bias. x [..., K], w [N, K], bias [N] → [..., N]. */
export const linear = (x: Value, w: Value, bias?: Value): Value => linearOp({ x, w, bias }, {}).y;
