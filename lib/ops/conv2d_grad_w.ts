import { defineOp, f32 } from '../ir/define_op.js';
import { expectShape, fixedDim, ShapeError, showType } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { type Conv2dAttrs, eachProduct, inferConv2d } from './conv2d_attrs.js';

export interface Conv2dGradWAttrs extends Conv2dAttrs {
  /** Height and width of w. */
  readonly kernel: readonly number[];
}

const conv2dGradWOp = defineOp({
  kind: 'primitive',
  name: 'conv2d_grad_w',
  inputs: ['x', 'dy'],
  outputs: ['dw'],
  infer({ x, dy }, attrs: Conv2dGradWAttrs) {
    const { kernel, groups } = attrs;
    if (x.shape.length !== 4 || dy.shape.length !== 4 || kernel.length !== 2)
      throw new ShapeError(
        `conv2d_grad_w: expected x of [N, C, H, W] and dy of [N, O, H', W'], got ${showType(x)} and ${showType(dy)}`,
      );
    const channels = fixedDim('conv2d_grad_w', 'the channels of x', x.shape[1]);
    const out = fixedDim('conv2d_grad_w', 'the channels of dy', dy.shape[1]);
    const w = f32([out, channels / groups, ...kernel]);
    expectShape('conv2d_grad_w', 'dy', dy, inferConv2d('conv2d_grad_w', { x, w }, attrs));
    return { dw: w };
  },
  gradient: 'none',
  onnx: { excluded: 'training runs on the cpu' },
  reference({ x, dy }, attrs, { dw }) {
    eachProduct(x.shape, dw.shape, dy.shape, attrs, (ix, iw, iy) => {
      dw.data[iw] = (dw.data[iw] as number) + (x.data[ix] as number) * (dy.data[iy] as number);
    });
  },
});

/**
 * Gradient of `conv2d` with respect to the weights: Σ over all places of dy times what the window saw there.
 * x [N, C, H, W], dy [N, O, H', W'] → [O, C / groups, ...kernel].
 */
export const conv2dGradW = (x: Value, dy: Value, attrs: Conv2dGradWAttrs): Value =>
  conv2dGradWOp({ x, dy }, attrs).dw;
