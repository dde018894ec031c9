import { fixedDim, mulDims } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { reshape } from '../ops/reshape.js';

/** [T, H·D] → [T, H, D]. */
export const splitHeads = (x: Value, heads: number): Value =>
  reshape(x, [x.shape[0] ?? 0, heads, fixedDim('splitHeads', 'the width', x.shape[1]) / heads]);

/** [T, H, D] → [T, H·D]. */
export const mergeHeads = (x: Value): Value =>
  reshape(x, [x.shape[0] ?? 0, mulDims(x.shape[1] ?? 0, x.shape[2] ?? 0)]);
