import { applyOp, defineOp, opNamed } from '../ir/define_op.js';
import { fixedDim, ShapeError, showType } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { around } from './strides.js';

interface PadAttrs extends Record<string, number> {
  readonly axis: number;
  readonly before: number;
  readonly after: number;
}

const padOp = defineOp({
  kind: 'primitive',
  name: 'pad',
  inputs: ['x'],
  outputs: ['y'],
  infer({ x }, { axis, before, after }: PadAttrs) {
    const size = fixedDim('pad', `axis ${axis}`, x.shape[axis]);
    if (!(Number.isInteger(before) && Number.isInteger(after) && before >= 0 && after >= 0)) {
      throw new ShapeError(
        `pad: expected whole numbers of zeros of at least 0 on axis ${axis} of ${showType(x)}, got ${before} and ${after}`,
      );
    }
    return { y: { dtype: x.dtype, shape: x.shape.map((d, i) => (i === axis ? before + size + after : d)) } };
  },
  gradient({ inputs: { x }, attrs: { axis, before }, gradients: { y: dy } }) {
    if (!dy) return {};
    // By name: slice imports this file, since each is the other's gradient.
    const { y } = applyOp(
      opNamed('slice'),
      { x: dy },
      { axis, begin: before, end: before + Number(x.shape[axis]) },
    );
    return y ? { x: y } : {};
  },
  onnx: ({ inputs: { x }, attrs: { axis, before, after }, onnx }) => ({
    y: onnx.op('Pad', [x.id, onnx.ints([before, after]), undefined, onnx.ints([axis])]),
  }),
  reference({ x }, { axis, before }, { y }) {
    const { outer, n, inner } = around(y.shape, axis);
    const length = (x.shape[axis] as number) * inner;
    for (let o = 0; o < outer; o++)
      y.data.set(x.data.subarray(o * length, (o + 1) * length), (o * n + before) * inner);
  },
});

/** x with zeros before and after on one axis (negative: from the end), whose size is fixed. */
export const pad = (x: Value, axis: number, before: number, after: number): Value =>
  padOp({ x }, { axis: axis < 0 ? axis + x.shape.length : axis, before, after }).y;
