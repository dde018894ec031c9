import { defineOp, f32 } from '../ir/define_op.js';
import { mulDims, ShapeError, showType } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { mul } from './binary.js';
import { pool2d } from './pool2d.js';
import { scalar } from './scalar.js';

const upsample2dOp = defineOp({
  kind: 'primitive',
  name: 'upsample2d',
  inputs: ['x'],
  outputs: ['y'],
  infer({ x }, { scale }: { readonly scale: number }) {
    const [n, c, height, width, ...rest] = x.shape;
    if (n === undefined || c === undefined || height === undefined || width === undefined || rest.length > 0)
      throw new ShapeError(`upsample2d: expected x of [N, C, H, W], got ${showType(x)}`);
    if (!Number.isInteger(scale) || scale < 1)
      throw new ShapeError(`upsample2d: expected scale to be an integer of at least 1, got ${scale}`);
    return { y: f32([n, c, mulDims(height, scale), mulDims(width, scale)]) };
  },
  gradient({ attrs: { scale }, gradients: { y: dy } }) {
    if (!dy) return {};
    // The sum of a pixel's copies.
    return { x: mul(pool2d('mean', dy, scale), scalar(dy, scale * scale)) };
  },
  onnx: ({ inputs: { x }, attrs: { scale }, onnx }) => ({
    y: onnx.op('Resize', [x.id, undefined, onnx.floats([1, 1, scale, scale])], {
      mode: 'nearest',
      coordinate_transformation_mode: 'asymmetric',
      nearest_mode: 'floor',
    }),
  }),
  reference({ x }, { scale }, { y }) {
    const width = x.shape[3] as number;
    for (let i = 0; i < y.data.length; i++) {
      const row = Math.floor(i / (width * scale * scale));
      y.data[i] = x.data[row * width + Math.floor((i % (width * scale)) / scale)] as number;
    }
  },
});

/** Each pixel scale × scale times: nearest neighbour. x [N, C, H, W] → [N, C, scale·H, scale·W]. */
export const upsample2d = (x: Value, scale: number): Value => upsample2dOp({ x }, { scale }).y;
