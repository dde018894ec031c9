import { type Dim, divDims, ShapeError } from '../ir/shape.js';

/** A number for both axes of a picture, or one for height and one for width. */
export type Pair = number | readonly [height: number, width: number];

export const pair = (both: Pair): readonly [number, number] =>
  typeof both === 'number' ? [both, both] : both;

/** How a window walks over a picture: [height, width] each. */
export interface Window {
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  /** Rows above and below, columns left and right, that count as there. */
  readonly padding: readonly number[];
}

/**
 * Places of a window along an axis: ⌊(size + 2·padding − kernel) / stride⌋ + 1. Of a symbolic size, which has to be a multiple of the
 * stride, only where that is size / stride for every size.
 */
function placesAlong(op: string, size: Dim, axis: number, window: Window): Dim {
  const [kernel = 0, stride = 0, padding = 0] = [window.kernel, window.stride, window.padding].map(
    (numbers) => numbers[axis],
  );
  const what = `${['height', 'width'][axis]} ${size}`;
  const told = `kernel ${kernel}, stride ${stride} and padding ${padding}`;
  const whole = [kernel, stride, padding].every(Number.isInteger);
  if (!whole || kernel < 1 || stride < 1 || padding < 0)
    throw new ShapeError(
      `${op}: expected kernel and stride of at least 1 and padding of at least 0, got ${told}`,
    );
  const more = Math.floor((2 * padding - kernel) / stride) + 1;
  if (typeof size === 'number') {
    const places = Math.floor((size + 2 * padding - kernel) / stride) + 1;
    if (places < 1)
      throw new ShapeError(
        `${op}: expected a window that fits into the ${what}, got ${told}; pad it, or take a larger picture`,
      );
    return places;
  }
  const places = divDims(size, stride);
  if (places === undefined || more !== 0)
    throw new ShapeError(
      `${op}: expected a window that leaves ${what} / stride whatever the size, got ${told}`,
    );
  return places;
}

/** Places of a window on a picture: [height, width]. Throws {@link ShapeError} where it does not fit. */
export const placesOn = (op: string, [height, width]: readonly [Dim, Dim], window: Window): [Dim, Dim] => [
  placesAlong(op, height, 0, window),
  placesAlong(op, width, 1, window),
];

/** Calls `visit(place in the kernel, index in the plane)` for each element of a plane [height, width] under one place of a window. */
export function underWindow(
  [height, width]: readonly [number, number],
  { kernel: [kh = 1, kw = 1], stride: [sh = 1, sw = 1], padding: [ph = 0, pw = 0] }: Window,
  [oy, ox]: readonly [number, number],
  visit: (k: number, i: number) => void,
): void {
  for (let ky = 0; ky < kh; ky++) {
    const y = oy * sh + ky - ph;
    if (y < 0 || y >= height) continue;
    for (let kx = 0; kx < kw; kx++) {
      const x = ox * sw + kx - pw;
      if (x >= 0 && x < width) visit(ky * kw + kx, y * width + x);
    }
  }
}
