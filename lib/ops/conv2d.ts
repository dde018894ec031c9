import { defineOp, f32 } from '../ir/define_op.js';
import { mulDims } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { type Conv2dAttrs, inferConv2d } from './conv2d_attrs.js';
import { conv2dGradW } from './conv2d_grad_w.js';
import { conv2dGradX } from './conv2d_grad_x.js';
import { reduce } from './reduce.js';
import { reshape } from './reshape.js';
import { type Pair, pair } from './window.js';

const conv2dOp = defineOp({
  kind: 'primitive',
  name: 'conv2d',
  inputs: ['x', 'w', 'bias?'],
  outputs: ['y'],
  infer: (inputs, attrs: Conv2dAttrs) => ({ y: f32(inferConv2d('conv2d', inputs, attrs)) }),
  gradient({ inputs: { x, w, bias }, attrs, gradients: { y: dy } }) {
    if (!dy) return {};
    const [n = 0, out = 0, height = 0, width = 0] = dy.shape;
    const planes = reshape(dy, [n, out, mulDims(height, width)]);
    return {
      x: conv2dGradX(dy, w, { ...attrs, size: x.shape.slice(2) }),
      w: conv2dGradW(x, dy, { ...attrs, kernel: w.shape.slice(2).map(Number) }),
      ...(bias && { bias: reshape(reduce('sum', reduce('sum', planes, 2), 0), bias.shape) }),
    };
  },
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
