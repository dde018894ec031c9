import { defineOp } from '../ir/define_op.js';
import { fixedDim, ShapeError, showType } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { slice } from './slice.js';
import { around } from './strides.js';

const concatOp = defineOp({
  kind: 'primitive',
  name: 'concat',
  inputs: ['a', 'b'],
  outputs: ['y'],
  infer({ a, b }, { axis }: { readonly axis: number }) {
    const fits = a.shape.length === b.shape.length && a.shape.every((d, i) => i === axis || d === b.shape[i]);
    if (!fits || a.dtype !== b.dtype)
      throw new ShapeError(`concat: ${showType(a)} and ${showType(b)} do not fit on axis ${axis}`);
    const size =
      fixedDim('concat', 'the axis', a.shape[axis]) + fixedDim('concat', 'the axis', b.shape[axis]);
    return { y: { dtype: a.dtype, shape: a.shape.map((d, i) => (i === axis ? size : d)) } };
  },
  gradient({ inputs: { a }, attrs: { axis }, gradients: { y: dy } }) {
    if (!dy) return {};
    const split = Number(a.shape[axis]);
    return { a: slice(dy, axis, 0, split), b: slice(dy, axis, split, Number(dy.shape[axis])) };
  },
  onnx: ({ inputs: { a, b }, attrs: { axis }, onnx }) => ({
    y: onnx.op('Concat', [a.id, b.id], { axis: BigInt(axis) }),
  }),
  reference({ a, b }, { axis }, { y }) {
    const { outer, n, inner } = around(y.shape, axis);
    const head = (a.shape[axis] as number) * inner;
    for (let o = 0; o < outer; o++) {
      y.data.set(a.data.subarray(o * head, (o + 1) * head), o * n * inner);
      y.data.set(b.data.subarray(o * (n * inner - head), (o + 1) * (n * inner - head)), o * n * inner + head);
    }
  },
});

/** a and b side by side on one axis (negative: from the end). */
export const concat = (a: Value, b: Value, axis: number): Value =>
  concatOp({ a, b }, { axis: axis < 0 ? axis + a.shape.length : axis }).y;
