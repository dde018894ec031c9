import { defineOp, f32 } from '../ir/define_op.js';
import { type Dim, expectShape, fixedDim, type Shape, ShapeError, showType } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { type Conv2dAttrs, eachProduct, inferConv2d } from './conv2d_attrs.js';

export interface Conv2dGradXAttrs extends Conv2dAttrs {
  /** Height and width of x: with a stride, several have a y of one size. */
  readonly size: readonly Dim[];
}

const conv2dGradXOp = defineOp({
  kind: 'primitive',
  name: 'conv2d_grad_x',
  inputs: ['dy', 'w'],
  outputs: ['dx'],
  infer({ dy, w }, attrs: Conv2dGradXAttrs) {
    const [n = 0] = dy.shape;
    if (dy.shape.length !== 4 || w.shape.length !== 4 || attrs.size.length !== 2)
      throw new ShapeError(
        `conv2d_grad_x: expected dy of [N, O, H', W'] and w of [O, C / groups, kernel height, kernel width], ` +
          `got ${showType(dy)} and ${showType(w)}`,
      );
    const channels = fixedDim('conv2d_grad_x', 'the channels of w', w.shape[1]) * attrs.groups;
    const shape: Shape = [n, channels, ...attrs.size];
    expectShape('conv2d_grad_x', 'dy', dy, inferConv2d('conv2d_grad_x', { x: f32(shape), w }, attrs));
    return { dx: f32(shape) };
  },
  gradient: 'none',
  onnx: { excluded: 'training runs on the cpu' },
  reference({ dy, w }, attrs, { dx }) {
    eachProduct(dx.shape, w.shape, dy.shape, attrs, (ix, iw, iy) => {
      dx.data[ix] = (dx.data[ix] as number) + (w.data[iw] as number) * (dy.data[iy] as number);
    });
  },
});

/**
 * Gradient of `conv2d` with respect to the picture, a transposed convolution: each number of dy goes back to the pixels that it saw,
 * by their weights. dy [N, O, H', W'], w f32 [O, C / groups, U, V] → [N, C, ...size]. Dumoulin & Visin 2016,
 * https://arxiv.org/abs/1603.07285
 */
export const conv2dGradX = (dy: Value, w: Value, attrs: Conv2dGradXAttrs): Value =>
  conv2dGradXOp({ dy, w }, attrs).dx;
