import { expectShape, fixedDim, type Shape, ShapeError, showType } from '../ir/shape.js';
import type { Attrs, TensorType } from '../ir/value.js';
import { placesOn } from './window.js';

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

/**
 * Calls `visit(index in x, in w, in y)` for each product that a convolution sums: all that is inside the picture.
 * x [N, C, H, W], w [O, C / groups, U, V], y [N, O, H', W'].
 */
export function eachProduct(
  x: readonly number[],
  w: readonly number[],
  y: readonly number[],
  { stride, padding, groups }: Conv2dAttrs,
  visit: (ix: number, iw: number, iy: number) => void,
): void {
  const [n, channels, height, width] = x as [number, number, number, number];
  const [out, perGroup, kh, kw] = w as [number, number, number, number];
  const [, , oh, ow] = y as [number, number, number, number];
  const [[sh = 1, sw = 1], [ph = 0, pw = 0]] = [stride, padding];
  for (let plane = 0; plane < n * out; plane++) {
    const o = plane % out;
    const first = Math.floor(plane / out) * channels + Math.floor((o * groups) / out) * perGroup;
    for (let k = 0; k < perGroup * kh * kw; k++) {
      const channel = (first + Math.floor(k / (kh * kw))) * height;
      const [ky, kx] = [(Math.floor(k / kw) % kh) - ph, (k % kw) - pw];
      for (let oy = 0; oy < oh; oy++) {
        const iy = oy * sh + ky;
        if (iy < 0 || iy >= height) continue;
        for (let ox = 0; ox < ow; ox++) {
          const ix = ox * sw + kx;
          if (ix < 0 || ix >= width) continue;
          visit((channel + iy) * width + ix, o * perGroup * kh * kw + k, (plane * oh + oy) * ow + ox);
        }
      }
    }
  }
}
