import { defineOp } from '../ir/define_op.js';
import type { Value } from '../ir/value.js';
import { trainingOnly } from './excluded.js';

const fillOp = defineOp({
  kind: 'primitive',
  name: 'fill',
  inputs: ['x'],
  outputs: ['x'],
  writes: { x: 'x' },
  infer: ({ x }, _attrs: { readonly value: number }) => ({ x }),
  gradient: 'none',
  onnx: trainingOnly,
  reference(_inputs, { value }, { x }) {
    x.data.fill(value);
  },
});

/** Makes every number of a state `value`, in place. */
export const fill = (x: Value, value: number): Value => fillOp({ x }, { value }).x;
