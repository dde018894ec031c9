import { defineOp, f32 } from '../ir/define_op.js';
import { type Dim, expectShape, ShapeError, showType } from '../ir/shape.js';
import type { Attrs, Value } from '../ir/value.js';
import { around } from './strides.js';

export interface ReduceGradAttrs extends Attrs {
  readonly fn: 'sum' | 'max';
  readonly axis: number;
  /** What the axis had before. */
  readonly size: Dim;
}

const reduceGradOp = defineOp({
  kind: 'primitive',
  name: 'reduce_grad',
  inputs: ['dy', 'x?', 'y?'],
  outputs: ['dx'],
  infer({ dy, x, y }, { fn, axis, size }: ReduceGradAttrs) {
    if (dy.shape[axis] !== 1)
      throw new ShapeError(`reduce_grad: expected dy of size 1 on axis ${axis}, got ${showType(dy)}`);
    const shape = dy.shape.map((d, i) => (i === axis ? size : d));
    if ((x === undefined || y === undefined) !== (fn === 'sum'))
      throw new ShapeError(`reduce_grad: expected x and y with max, and neither with sum, got ${fn}`);
    if (x) expectShape('reduce_grad', 'x', x, shape);
    if (y) expectShape('reduce_grad', 'y', y, dy.shape);
    return { dx: f32(shape) };
  },
  gradient: 'none',
  onnx: { excluded: 'training runs on the cpu' },
  reference({ dy, x, y }, { axis }, { dx }) {
    const { outer, n, inner } = around(dx.shape, axis);
    for (let at = 0; at < outer * inner; at++) {
      const first = Math.floor(at / inner) * n * inner + (at % inner);
      const has = (k: number): boolean =>
        !x || !y || (x.data[first + k * inner] as number) === (y.data[at] as number);
      let count = 0;
      for (let k = 0; k < n; k++) count += has(k) ? 1 : 0;
      const share = (dy.data[at] as number) / (x ? count : 1);
      for (let k = 0; k < n; k++) dx.data[first + k * inner] = has(k) ? share : 0;
    }
  },
});

/**
 * Gradient of `reduce` over an axis: of a sum dy for each element, of a maximum dy in equal parts for the elements x that are y.
 * dy and y [..., 1, ...], x [..., size, ...] → as x.
 */
export const reduceGrad = (inputs: Parameters<typeof reduceGradOp>[0], attrs: ReduceGradAttrs): Value =>
  reduceGradOp(inputs, attrs).dx;
