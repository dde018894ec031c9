import { type Bindings, evalShape } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { elementCount, type RunData, runArray } from '../tensor.js';

/** The numbers given for an input, if they are as many and of the type that it wants. Throws TypeError: a bug of the caller. */
export function feed(value: Value, data: RunData | undefined, bindings: Bindings): RunData {
  const shape = evalShape(value.shape, bindings);
  const fits =
    data?.length === elementCount(shape) && data.constructor === runArray(value.dtype, 0).constructor;
  if (!data || !fits)
    throw new TypeError(
      `input "${value.name}": expected ${value.dtype}[${shape.join(',')}], got ${data ? `${data.constructor.name}(${data.length})` : 'nothing'}`,
    );
  return data;
}
