import { defineOp, f32 } from '../ir/define_op.js';
import { sizeOf } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { mul } from './binary.js';
import { reduce } from './reduce.js';
import { reshape } from './reshape.js';

const sumSquaresOp = defineOp({
  kind: 'composite',
  name: 'sum_squares',
  inputs: ['x'],
  outputs: ['y'],
  infer: (_inputs, _attrs: Record<string, never>) => ({ y: f32([1]) }),
  decompose: ({ x }) => ({ y: reduce('sum', reshape(mul(x, x), [sizeOf(x.shape)]), 0) }),
});

/** Σ x² over all numbers: x [...] → [1]. What a gradient's norm is made of. */
export const sumSquares = (x: Value): Value => sumSquaresOp({ x }, {}).y;
