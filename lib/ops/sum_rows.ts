import type { Value } from '../ir/value.js';
import { reduce } from './reduce.js';
import { reshape } from './reshape.js';

/** Sums over all axes but the last: x [..., C] → [C]. */
export const sumRows = (x: Value): Value =>
  reshape(
    x.shape.slice(0, -1).reduce((y, _, axis) => reduce('sum', y, axis), x),
    x.shape.slice(-1),
  );
