import { q8Group, q8Scales } from '../dtype.js';
import { defineOp, f32 } from '../ir/define_op.js';
import { expectShape, fixedDim, ShapeError, showType } from '../ir/shape.js';
import type { TensorType, Value } from '../ir/value.js';

/** Checks rows of bytes against a q8 weight [N, K]. Throws {@link ShapeError}. */
export function expectRowsFor(op: string, w: TensorType, x: TensorType, scale: TensorType): void {
  if (w.dtype !== 'q8' || x.dtype !== 'i8' || w.shape.length !== 2)
    throw new ShapeError(
      `${op}: expected x of i8 and a weight of q8[N,K], got ${showType(x)} and ${showType(w)}`,
    );
  const k = fixedDim(op, 'the columns of the weight', w.shape[1]);
  expectShape(op, 'x', x, [...x.shape.slice(0, -1), q8Scales(k) * q8Group]);
  expectShape(op, 'x_scale', scale, x.shape.slice(0, -1));
}

const quantizedLinearOp = defineOp({
  kind: 'primitive',
  name: 'quantized_linear',
  inputs: ['x', 'x_scale', 'w', 'bias?'],
  outputs: ['y'],
  infer({ x, x_scale, w, bias }, _attrs: Record<string, never>) {
    expectRowsFor('quantized_linear', w, x, x_scale);
    const n = fixedDim('quantized_linear', 'the rows of the weight', w.shape[0]);
    if (bias) expectShape('quantized_linear', 'bias', bias, [n]);
    return { y: f32([...x.shape.slice(0, -1), n]) };
  },
  // x is rounded to bytes, and q8 weights are not trained: to train, take `linear` over the weight in f32.
  gradient: 'none',
  // A q8 weight is the numbers that it stands for there.
  onnx({ inputs: { x, x_scale, w, bias }, outputs: { y }, onnx }) {
    const k = Number(w.shape[1]);
    const wide = Number(x.shape.at(-1));
    const rows = onnx.op('Reshape', [onnx.as('f32', x), onnx.ints([-1, wide])]);
    const own = wide === k ? rows : onnx.op('Slice', [rows, onnx.ints([0]), onnx.ints([k]), onnx.ints([1])]);
    const product = onnx.op('Gemm', [own, onnx.as('f32', w)], { transB: 1n });
    const scaled = onnx.op('Mul', [
      product,
      onnx.op('Reshape', [onnx.as('f32', x_scale), onnx.ints([-1, 1])]),
    ]);
    return { y: onnx.reshape(bias ? onnx.op('Add', [scaled, onnx.as('f32', bias)]) : scaled, y.shape) };
  },
  // w holds products of an int8 and a f16, so a group's sum is exact in float64: scale_g · Σ x · q.
  reference({ x, x_scale, w, bias }, _attrs, { y }) {
    const [n, k] = w.shape as [number, number];
    const wide = x.shape.at(-1) as number;
    for (let r = 0; r < x_scale.data.length; r++) {
      const row = x.data.subarray(r * wide, r * wide + k);
      for (let c = 0; c < n; c++) {
        let sum = 0;
        for (let j = 0; j < k; j++) sum += (row[j] as number) * (w.data[c * k + j] as number);
        y.data[r * n + c] = sum * (x_scale.data[r] as number) + (bias?.data[c] ?? 0);
      }
    }
  },
});

/**
 * y = x_scale · Σ_g scale_g · Σ_{k in g} x · q + bias: the sum of each group of 32 is exact, the sum over groups f32 in ascending
 * order. x and x_scale as `quantize_rows` gives them, w q8 [N, K] of numbers q with scales, bias [N] → [..., N].
 */
export const quantizedLinear = (x: Value, x_scale: Value, w: Value, bias?: Value): Value =>
  quantizedLinearOp({ x, x_scale, w, bias }, {}).y;
