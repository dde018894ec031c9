import { q8Group, q8Scales } from '../dtype.js';
import { defineOp, f32 } from '../ir/define_op.js';
import { fixedDim, type Shape } from '../ir/shape.js';
import type { TensorType, Value } from '../ir/value.js';

/** Types of the bytes and scales of rows [..., K]: K is rounded up to whole groups. */
export function inferRows(op: string, shape: Shape): { q: TensorType; scale: TensorType } {
  const k = fixedDim(op, 'the last axis', shape.at(-1));
  const rows = shape.slice(0, -1);
  return { q: { dtype: 'i8', shape: [...rows, q8Scales(k) * q8Group] }, scale: f32(rows) };
}

/** The nearest integer, of two the even one. */
function rint(x: number): number {
  const up = Math.round(x);
  return up - x === 0.5 && up % 2 !== 0 ? up - 1 : up;
}

const quantizeRowsOp = defineOp({
  kind: 'primitive',
  name: 'quantize_rows',
  inputs: ['x'],
  outputs: ['q', 'scale'],
  infer: ({ x }, _attrs: Record<string, never>) => inferRows('quantize_rows', x.shape),
  gradient: 'none',
  onnx({ inputs: { x }, outputs: { q, scale }, onnx }) {
    const k = x.shape.at(-1) as number;
    const padding = [...x.shape.map(() => 0), ...x.shape.map(() => 0)];
    padding[padding.length - 1] = (q.shape.at(-1) as number) - k;
    const rows = onnx.op('Pad', [onnx.as('f32', x), onnx.ints(padding)]);
    const last = onnx.ints([x.shape.length - 1]);
    const most = onnx.op('ReduceMax', [onnx.op('Abs', [rows]), last], { keepdims: 1n });
    // 0, or NaN where a number of the row is not finite.
    const strange = onnx.op('ReduceSum', [onnx.op('Mul', [rows, onnx.floats([0])]), last], { keepdims: 1n });
    const s = onnx.op('Add', [onnx.op('Div', [most, onnx.floats([127])]), strange]);
    const some = onnx.op('Greater', [s, onnx.floats([0])]);
    const ratio = onnx.op('Div', [rows, onnx.op('Where', [some, s, onnx.floats([1])])]);
    const near = onnx.op('Clip', [
      onnx.op('Round', [ratio]),
      onnx.floats([-127], []),
      onnx.floats([127], []),
    ]);
    const bytes = onnx.op('Where', [some, near, onnx.floats([0])]);
    return { q: onnx.cast('i8', bytes), scale: onnx.reshape(s, scale.shape) };
  },
  reference({ x }, _attrs, { q, scale }) {
    const { fround } = Math;
    const [k, wide] = [x.shape.at(-1) as number, q.shape.at(-1) as number];
    for (let r = 0; r < scale.data.length; r++) {
      const row = x.data.subarray(r * k, (r + 1) * k).map(fround);
      const most = row.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
      const s = Number.isFinite(most) ? fround(most / 127) : Number.NaN;
      scale.data[r] = s;
      row.forEach((v, i) => {
        q.data[r * wide + i] = s > 0 ? Math.max(-127, Math.min(127, rint(fround(v / s)))) : 0;
      });
    }
  },
});

/**
 * Rows as bytes: scale = max |x| / 127 and q = x / scale to the nearest integer, of two the even one, within ±127, all in f32; 0 where
 * the scale is 0. A row with a number that is not finite has scale NaN. q is padded with 0 to whole groups of 32, as q8 weights
 * are. x [..., K] → q i8 [..., 32 · ⌈K / 32⌉], scale [...].
 */
export const quantizeRows = (x: Value): Readonly<Record<'q' | 'scale', Value>> => quantizeRowsOp({ x }, {});
