import { isFloat, roundTo } from '../dtype.js';
import { defineOp, f32 } from '../ir/define_op.js';
import { expectShape, ShapeError, showType, sizeOf } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { type Compute, matmul, roundedOperand } from './matmul.js';
import { reshape } from './reshape.js';
import { sumTo } from './sum_to.js';

/** `compute`: what x and w are rounded to before they are multiplied, where w is stored in f32 (training). */
type LinearAttrs = { readonly compute?: 'bf16' };

/** Rows of the last axis. */
const rowsOf = (x: Value): Value =>
  x.shape.length === 2 ? x : reshape(x, [sizeOf(x.shape.slice(0, -1)), x.shape.at(-1) ?? 0]);

const linearOp = defineOp({
  kind: 'primitive',
  name: 'linear',
  inputs: ['x', 'w', 'bias?'],
  outputs: ['y'],
  infer({ x, w, bias }, _attrs: LinearAttrs) {
    const [n] = w.shape;
    if (n === undefined || !isFloat(w.dtype))
      throw new ShapeError(`linear: expected a weight of [N,K], got ${showType(w)}`);
    expectShape('linear', 'w', w, [n, x.shape.at(-1)]);
    if (bias) expectShape('linear', 'bias', bias, [n]);
    return { y: f32([...x.shape.slice(0, -1), n]) };
  },
  gradient({ inputs: { x, w, bias }, attrs, gradients: { y: dy } }) {
    if (!dy) return {};
    const compute: Compute = attrs.compute ?? 'f32';
    const rows = rowsOf(dy); // [T, N]
    return {
      x: reshape(matmul(rows, w, { compute }), x.shape),
      w: matmul(rows, rowsOf(x), { transposeA: true, compute }),
      ...(bias && { bias: sumTo(rows, bias.shape) }),
    };
  },
  onnx({ inputs: { x, w, bias }, attrs: { compute }, outputs: { y }, onnx }) {
    const [, k = 0] = w.shape;
    const flat = x.shape.length === 2;
    const number = roundedOperand(onnx, x, compute);
    const rows = flat ? number : onnx.op('Reshape', [number, onnx.ints([-1, Number(k)])]);
    const weights = roundedOperand(onnx, w, compute);
    const product = onnx.op('Gemm', [rows, weights, bias && onnx.as('f32', bias)], { transB: 1n });
    return { y: flat ? product : onnx.reshape(product, y.shape) };
  },
  reference({ x, w, bias }, { compute }, { y }) {
    const [n, k] = w.shape as [number, number];
    const [rows, weights] = [x, w].map(({ data }) =>
      compute ? data.map((v) => roundTo(compute, Math.fround(v))) : data,
    ) as [Float64Array, Float64Array];
    for (let r = 0; r * n < y.data.length; r++) {
      const row = rows.subarray(r * k, (r + 1) * k);
      for (let c = 0; c < n; c++) {
        let sum = 0;
        for (let j = 0; j < k; j++) sum += (row[j] as number) * (weights[c * k + j] as number);
        y.data[r * n + c] = sum + (bias?.data[c] ?? 0);
      }
    }
  },
});

/** y = x·Wᵀ + bias. x [..., K], w [N, K], bias [N] → [..., N]. */
export const linear = (x: Value, w: Value, bias?: Value, compute: Compute = 'f32'): Value =>
  linearOp({ x, w, bias }, compute === 'bf16' ? { compute } : {}).y;
