import type { Shape } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { reduce } from './reduce.js';
import { reshape } from './reshape.js';

/** x summed over the axes in which `shape` was broadcast to x's: the gradient of broadcasting. → `shape`. */
export function sumTo(x: Value, shape: Shape): Value {
  const lead = x.shape.length - shape.length;
  let y = x;
  x.shape.forEach((dim, axis) => {
    const to = axis < lead ? 1 : shape[axis - lead];
    if (to === 1 && dim !== 1) y = reduce('sum', y, axis);
  });
  return lead === 0 ? y : reshape(y, shape);
}
