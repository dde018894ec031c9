import { fixedDim } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { mul } from './binary.js';
import { reduce } from './reduce.js';
import { scalar } from './scalar.js';

/** Mean over the last axis, whose size is fixed; it stays with size 1. */
export const meanLast = (x: Value): Value =>
  mul(reduce('sum', x, -1), scalar(x, 1 / fixedDim('mean', 'the last axis', x.shape.at(-1))));
