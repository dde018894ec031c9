import { defineOp, f32 } from '../ir/define_op.js';
import { expectShape, fixedDim, type Shape, ShapeError, showType } from '../ir/shape.js';
import type { Attrs, TensorType, Value } from '../ir/value.js';
import { type Pair, pair, placesOn } from './window.js';

/** Pairs are [height, width]. */
export interface Conv2dAttrs extends Attrs {
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly groups: number;
}

/** Shape of a convolution's result. Throws {@link ShapeError} saying which operand does not fit. */
export function inferConv2d(
  op: string,
  { x, w, bias }: { readonly x: TensorType; readonly w: TensorType; readonly bias?: TensorType | undefined },
  { stride, padding, groups }: Conv2dAttrs,
): Shape {
  if (x.shape.length !== 4) throw new ShapeError(`${op}: expected x of [N, C, H, W], got ${showType(x)}`);
  if (w.shape.length !== 4 || w.dtype !== 'f32')
    throw new ShapeError(
      `${op}: expected w of f32 [O, C / groups, kernel height, kernel width], got ${showType(w)}`,
    );
  const [n, , height, width] = x.shape as [number, number, number, number];
  const channels = fixedDim(op, 'the channels of x', x.shape[1]);
  const [out, perGroup, ...kernel] = w.shape.map((d) => fixedDim(op, 'a size of w', d)) as [number, number];
  if (!Number.isInteger(groups) || groups < 1 || out % groups !== 0 || perGroup * groups !== channels)
    throw new ShapeError(
      `${op}: expected w of [O, ${channels} / groups, …] with O a multiple of the groups for x ${showType(x)}, ` +
        `got ${showType(w)} and ${groups} groups`,
    );
  if (bias) expectShape(op, 'bias', bias, [out]);
  return [n, out, ...placesOn(op, [height, width], { kernel, stride, padding })];
}

const conv2dOp = defineOp({
  kind: 'primitive',
  name: 'conv2d',
  inputs: ['x', 'w', 'bias?'],
  outputs: ['y'],
  infer: (inputs, attrs: Conv2dAttrs) => ({ y: f32(inferConv2d('conv2d', inputs, attrs)) }),
  gradient: 'pending',
  onnx: ({ inputs: { x, w, bias }, attrs: { stride, padding, groups }, onnx }) => ({
    y: onnx.op('Conv', [x.id, w.id, bias?.id], {
      strides: stride,
      pads: [...padding, ...padding],
      group: BigInt(groups),
    }),
  }),
  reference({ x, w, bias }, { stride, padding, groups }, { y }) {
    const [n, , height, width] = x.shape as [number, number, number, number];
    const [out, perGroup, kh, kw] = w.shape as [number, number, number, number];
    const [, , oh, ow] = y.shape as [number, number, number, number];
    const [sh, sw] = stride as [number, number];
    const [ph, pw] = padding as [number, number];
    // The outputs whose window has column kx inside the picture: first to last.
    const columns = Array.from({ length: kw }, (_, kx) => ({
      first: Math.max(0, Math.ceil((pw - kx) / sw)),
      last: Math.min(ow - 1, Math.floor((width - 1 + pw - kx) / sw)),
    }));
    for (let plane = 0; plane < n * out; plane++) {
      const o = plane % out;
      const first = Math.floor(plane / out) * groups * perGroup + Math.floor((o * groups) / out) * perGroup;
      y.data.fill(bias?.data[o] ?? 0, plane * oh * ow, (plane + 1) * oh * ow);
      for (let k = 0; k < perGroup * kh * kw; k++) {
        const c = Math.floor(k / (kh * kw));
        const [ky, kx] = [Math.floor(k / kw) % kh, k % kw];
        const factor = w.data[o * perGroup * kh * kw + k] as number;
        const { first: from, last } = columns[kx] as { first: number; last: number };
        for (let oy = 0; oy < oh; oy++) {
          const iy = oy * sh + ky - ph;
          if (iy < 0 || iy >= height) continue;
          const row = ((first + c) * height + iy) * width + kx - pw;
          const to = (plane * oh + oy) * ow;
          for (let ox = from; ox <= last; ox++)
            y.data[to + ox] = (y.data[to + ox] as number) + factor * (x.data[row + ox * sw] as number);
        }
      }
    }
  },
});

export interface Conv2dOptions {
  readonly bias?: Value | undefined;
  /** Default 1. */
  readonly stride?: Pair;
  /** Zeros around the picture; default 0. */
  readonly padding?: Pair;
  /** Default 1. Channels and outputs in so many parts that do not see one another. */
  readonly groups?: number;
}

/**
 * Cross-correlation, as networks call convolution: y[n, o, i, j] = bias[o] + Σ_{c, u, v} w[o, c, u, v] · x[n, c', i·stride + u − padding,
 * j·stride + v − padding], c' the c-th channel of o's group. x [N, C, H, W], w f32 [O, C / groups, U, V], bias [O] → [N, O, H', W'],
 * H' = ⌊(H + 2·padding − U) / stride⌋ + 1.
 */
export const conv2d = (
  x: Value,
  w: Value,
  { bias, stride = 1, padding = 0, groups = 1 }: Conv2dOptions = {},
): Value => conv2dOp({ x, w, bias }, { stride: pair(stride), padding: pair(padding), groups }).y;
