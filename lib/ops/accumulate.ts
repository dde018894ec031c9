import { defineOp } from '../ir/define_op.js';
import { expectShape } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { trainingOnly } from './excluded.js';

const accumulateOp = defineOp({
  kind: 'primitive',
  name: 'accumulate',
  inputs: ['sum', 'x'],
  outputs: ['sum'],
  writes: { sum: 'sum' },
  infer({ sum, x }, _attrs: Record<string, never>) {
    expectShape('accumulate', 'x', x, sum.shape);
    return { sum };
  },
  gradient: 'none',
  onnx: trainingOnly,
  reference({ x }, _attrs, { sum }) {
    x.data.forEach((value, i) => {
      (sum.data[i] as number) += value;
    });
  },
});

/** sum += x, in place. sum: a state of x's shape. */
export const accumulate = (sum: Value, x: Value): Value => accumulateOp({ sum, x }, {}).sum;
