import { defineOp, f32 } from '../ir/define_op.js';
import { ShapeError, showType } from '../ir/shape.js';
import type { Attrs, Value } from '../ir/value.js';
import { pool2dGrad } from './pool2d_grad.js';
import { type Pair, pair, placesOn, underWindow } from './window.js';

/** What a window becomes. The order is shared with kernels/cpu/kernel.h. */
export const poolFunctions = {
  max: { start: Number.NEGATIVE_INFINITY, step: (a: number, x: number) => Math.max(a, x) },
  mean: { start: 0, step: (a: number, x: number) => a + x },
} as const;

type PoolFunction = keyof typeof poolFunctions;

/** Pairs are [height, width]. */
interface Pool2dAttrs extends Attrs {
  readonly fn: PoolFunction;
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly padding: readonly number[];
}

const pool2dOp = defineOp({
  kind: 'primitive',
  name: 'pool2d',
  inputs: ['x'],
  outputs: ['y'],
  infer({ x }, attrs: Pool2dAttrs) {
    const [n, c, height, width, ...rest] = x.shape;
    if (n === undefined || c === undefined || height === undefined || width === undefined || rest.length > 0)
      throw new ShapeError(`pool2d: expected x of [N, C, H, W], got ${showType(x)}`);
    const { kernel, padding } = attrs;
    if (padding.some((p, i) => 2 * p > (kernel[i] as number)))
      throw new ShapeError(
        `pool2d: expected a padding of at most half the kernel, got ${padding} and ${kernel}`,
      );
    return { y: f32([n, c, ...placesOn('pool2d', [height, width], attrs)]) };
  },
  gradient({ inputs: { x }, outputs: { y }, attrs, gradients: { y: dy } }) {
    if (!dy) return {};
    const read = attrs.fn === 'max' && { x, y };
    return { x: pool2dGrad({ dy, ...read }, { ...attrs, size: x.shape.slice(2) }) };
  },
  onnx: ({ inputs: { x }, attrs: { fn, kernel, stride, padding }, onnx }) => ({
    y: onnx.op(fn === 'max' ? 'MaxPool' : 'AveragePool', [x.id], {
      kernel_shape: kernel,
      strides: stride,
      pads: [...padding, ...padding],
      ...(fn === 'mean' ? { count_include_pad: 1n } : {}),
    }),
  }),
  reference({ x }, attrs, { y }) {
    const [, , height, width] = x.shape as [number, number, number, number];
    const [, , oh, ow] = y.shape as [number, number, number, number];
    const { start, step } = poolFunctions[attrs.fn];
    const count = attrs.fn === 'mean' ? (attrs.kernel[0] as number) * (attrs.kernel[1] as number) : 1;
    for (let i = 0; i < y.data.length; i++) {
      const plane = Math.floor(i / (oh * ow)) * height * width;
      const at = [Math.floor(i / ow) % oh, i % ow] as const;
      let acc: number = start;
      underWindow([height, width], attrs, at, (_, j) => {
        acc = step(acc, x.data[plane + j] as number);
      });
      y.data[i] = acc / count;
    }
  },
});

export interface Pool2dOptions {
  /** Default: the kernel, so that windows do not overlap. */
  readonly stride?: Pair;
  /** At most half the kernel; default 0. */
  readonly padding?: Pair;
}

/**
 * The greatest number, or the mean, of windows over each channel. x [N, C, H, W] → [N, C, H', W'], H' = ⌊(H + 2·padding − kernel) / stride⌋
 * + 1. What lies outside the picture never is the greatest, and counts as 0 in a mean.
 */
export const pool2d = (
  fn: PoolFunction,
  x: Value,
  kernel: Pair,
  { stride = kernel, padding = 0 }: Pool2dOptions = {},
): Value => pool2dOp({ x }, { fn, kernel: pair(kernel), stride: pair(stride), padding: pair(padding) }).y;
