import { defineOp } from '../ir/define_op.js';
import { type Shape, ShapeError, showType, sizeOf } from '../ir/shape.js';
import type { Value } from '../ir/value.js';

const reshapeOp = defineOp({
  kind: 'primitive',
  name: 'reshape',
  inputs: ['x'],
  outputs: ['y'],
  view: true,
  infer({ x }, { shape }: { readonly shape: Shape }) {
    if (sizeOf(x.shape) !== sizeOf(shape)) {
      throw new ShapeError(`reshape: cannot make [${shape.join(',')}] of ${showType(x)}`);
    }
    return { y: { dtype: x.dtype, shape } };
  },
  gradient: ({ inputs: { x }, gradients: { y: dy } }) => (dy ? { x: reshape(dy, x.shape) } : {}),
  onnx: ({ inputs: { x }, attrs: { shape }, onnx }) => ({ y: onnx.reshape(x.id, shape) }),
  reference({ x }, _attrs, { y }) {
    y.data.set(x.data);
  },
});

/** The same numbers in the same order under another shape. */
export const reshape = (x: Value, shape: Shape): Value => reshapeOp({ x }, { shape }).y;
