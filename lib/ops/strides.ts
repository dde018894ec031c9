/** Row-major strides of a shape, in elements. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length).fill(1);
  for (let i = shape.length - 2; i >= 0; i--)
    strides[i] = (strides[i + 1] as number) * (shape[i + 1] as number);
  return strides;
}

/** Strides that walk an operand of `shape` along a broadcast result of `rank` axes: 0 where the operand is stretched. */
export function broadcastStrides(shape: readonly number[], rank: number): number[] {
  const own = stridesOf(shape);
  const pad = rank - shape.length;
  return Array.from({ length: rank }, (_, i) =>
    i < pad || shape[i - pad] === 1 ? 0 : (own[i - pad] as number),
  );
}

/** Calls `visit(linear index, offset in each operand)` for each element of `shape` in row-major order. */
export function walk(
  shape: readonly number[],
  strides: readonly (readonly number[])[],
  visit: (index: number, offsets: readonly number[]) => void,
): void {
  const total = shape.reduce((n, d) => n * d, 1);
  const at = new Array<number>(shape.length).fill(0);
  const offsets = new Array<number>(strides.length).fill(0);
  for (let index = 0; index < total; index++) {
    visit(index, offsets);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const next = (at[axis] as number) + 1;
      const wraps = next === shape[axis];
      at[axis] = wraps ? 0 : next;
      const step = wraps ? 1 - next : 1;
      strides.forEach((s, k) => {
        offsets[k] = (offsets[k] as number) + step * (s[axis] as number);
      });
      if (!wraps) break;
    }
  }
}

/** A shape cut around one axis: elements before, along and after it. */
export function around(shape: readonly number[], axis: number): { outer: number; n: number; inner: number } {
  const product = (dims: readonly number[]): number => dims.reduce((a, d) => a * d, 1);
  return {
    outer: product(shape.slice(0, axis)),
    n: shape[axis] as number,
    inner: product(shape.slice(axis + 1)),
  };
}
