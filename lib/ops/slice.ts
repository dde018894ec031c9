import { defineOp } from '../ir/define_op.js';
import { fixedDim, ShapeError, showType } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { pad } from './pad.js';
import { around } from './strides.js';

interface SliceAttrs extends Record<string, number> {
  readonly axis: number;
  readonly begin: number;
  readonly end: number;
}

const sliceOp = defineOp({
  kind: 'primitive',
  name: 'slice',
  inputs: ['x'],
  outputs: ['y'],
  infer({ x }, { axis, begin, end }: SliceAttrs) {
    const size = fixedDim('slice', `axis ${axis}`, x.shape[axis]);
    if (!(begin >= 0 && begin <= end && end <= size)) {
      throw new ShapeError(
        `slice: expected 0 <= begin <= end <= ${size} on axis ${axis} of ${showType(x)}, got ${begin} and ${end}`,
      );
    }
    return { y: { dtype: x.dtype, shape: x.shape.map((d, i) => (i === axis ? end - begin : d)) } };
  },
  gradient({ inputs: { x }, attrs: { axis, begin, end }, gradients: { y: dy } }) {
    if (!dy) return {};
    return { x: pad(dy, axis, begin, Number(x.shape[axis]) - end) };
  },
  onnx: ({ inputs: { x }, attrs: { axis, begin, end }, onnx }) => ({
    y: onnx.op('Slice', [x.id, onnx.ints([begin]), onnx.ints([end]), onnx.ints([axis])]),
  }),
  reference({ x }, { axis, begin, end }, { y }) {
    const { outer, n, inner } = around(x.shape, axis);
    const length = (end - begin) * inner;
    for (let o = 0; o < outer; o++) {
      const from = (o * n + begin) * inner;
      y.data.set(x.data.subarray(from, from + length), o * length);
    }
  },
});

/** Elements begin … end − 1 of one axis (negative: from the end), whose size is fixed. */
export const slice = (x: Value, axis: number, begin: number, end: number): Value =>
  sliceOp({ x }, { axis: axis < 0 ? axis + x.shape.length : axis, begin, end }).y;
