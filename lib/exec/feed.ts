import { type Bindings, evalShape } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { elementCount } from '../tensor.js';

/** The numbers given for an input, if they are as many and of the type that it wants. Throws TypeError: a bug of the caller. */
export function feed(
  value: Value,
  data: Int32Array | Float32Array | undefined,
  bindings: Bindings,
): Int32Array | Float32Array {
  const shape = evalShape(value.shape, bindings);
  const fits = data?.length === elementCount(shape) && data instanceof Int32Array === (value.dtype === 'i32');
  if (!data || !fits)
    throw new TypeError(
      `input "${value.name}": expected ${value.dtype}[${shape.join(',')}], got ${data ? `${data.constructor.name}(${data.length})` : 'nothing'}`,
    );
  return data;
}
