import { defineOp } from '../ir/define_op.js';
import { ShapeError } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { stridesOf, walk } from './strides.js';

const transposeOp = defineOp({
  kind: 'primitive',
  name: 'transpose',
  inputs: ['x'],
  outputs: ['y'],
  infer({ x }, { axes }: { readonly axes: readonly number[] }) {
    if ([...axes].sort((a, b) => a - b).join() !== x.shape.map((_, i) => i).join()) {
      throw new ShapeError(`transpose: expected an order of ${x.shape.length} axes, got [${axes.join(',')}]`);
    }
    return { y: { dtype: x.dtype, shape: axes.map((a) => x.shape[a] ?? 0) } };
  },
  gradient({ attrs: { axes }, gradients: { y: dy } }) {
    if (!dy) return {};
    return {
      x: transpose(
        dy,
        axes.map((_, axis) => axes.indexOf(axis)),
      ),
    };
  },
  onnx: ({ inputs: { x }, attrs: { axes }, onnx }) => ({ y: onnx.op('Transpose', [x.id], { perm: axes }) }),
  reference({ x }, { axes }, { y }) {
    const strides = stridesOf(x.shape);
    walk(y.shape, [axes.map((a) => strides[a] as number)], (i, [from]) => {
      y.data[i] = x.data[from as number] as number;
    });
  },
});

/** y[..., i_axes[k], ...] = x[...]: axis k of y is axis axes[k] of x. */
export const transpose = (x: Value, axes: readonly number[]): Value => transposeOp({ x }, { axes }).y;
