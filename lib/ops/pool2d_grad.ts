import { defineOp, f32 } from '../ir/define_op.js';
import { type Dim, expectShape, type Shape, ShapeError, showType } from '../ir/shape.js';
import type { Attrs, Value } from '../ir/value.js';
import { placesOn, underWindow } from './window.js';

/** Pairs are [height, width]. */
export interface Pool2dGradAttrs extends Attrs {
  readonly fn: 'max' | 'mean';
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  /** Height and width of x: with a stride, several have a y of one size. */
  readonly size: readonly Dim[];
}

const pool2dGradOp = defineOp({
  kind: 'primitive',
  name: 'pool2d_grad',
  inputs: ['dy', 'x?', 'y?'],
  outputs: ['dx'],
  infer({ dy, x, y }, attrs: Pool2dGradAttrs) {
    const [n = 0, c = 0] = dy.shape;
    const [height, width] = attrs.size;
    if (dy.shape.length !== 4 || height === undefined || width === undefined)
      throw new ShapeError(`pool2d_grad: expected dy of [N, C, H', W'], got ${showType(dy)}`);
    if ((x === undefined || y === undefined) !== (attrs.fn === 'mean'))
      throw new ShapeError(`pool2d_grad: expected x and y with max, and neither with mean, got ${attrs.fn}`);
    const shape: Shape = [n, c, height, width];
    expectShape('pool2d_grad', 'dy', dy, [n, c, ...placesOn('pool2d_grad', [height, width], attrs)]);
    if (x) expectShape('pool2d_grad', 'x', x, shape);
    if (y) expectShape('pool2d_grad', 'y', y, dy.shape);
    return { dx: f32(shape) };
  },
  gradient: 'none',
  onnx: { excluded: 'training runs on the cpu' },
  reference({ dy, x, y }, attrs, { dx }) {
    const [, , height, width] = dx.shape as [number, number, number, number];
    const [, , oh, ow] = dy.shape as [number, number, number, number];
    const count = (attrs.kernel[0] as number) * (attrs.kernel[1] as number);
    const give = (i: number, share: number): void => {
      dx.data[i] = (dx.data[i] as number) + share;
    };
    for (let i = 0; i < dy.data.length; i++) {
      const plane = Math.floor(i / (oh * ow)) * height * width;
      const at = [Math.floor(i / ow) % oh, i % ow] as const;
      const [greatest, g] = [y?.data[i], dy.data[i] as number];
      let given = false;
      underWindow([height, width], attrs, at, (_, j) => {
        if (!x) give(plane + j, g / count);
        else if (!given && Object.is((x.data[plane + j] as number) + 0, (greatest as number) + 0)) {
          give(plane + j, g);
          given = true;
        }
      });
    }
  },
});

/**
 * Gradient of `pool2d`: of a mean dy in equal parts for all under the window, what lies outside the picture being lost; of a maximum y dy
 * for the first x under the window, row by row, that is y (NaN being NaN). dy and y [N, C, H', W'], x → [N, C, ...size].
 */
export const pool2dGrad = (inputs: Parameters<typeof pool2dGradOp>[0], attrs: Pool2dGradAttrs): Value =>
  pool2dGradOp(inputs, attrs).dx;
