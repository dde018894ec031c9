import { defineOp, f32 } from '../ir/define_op.js';
import { expectShape } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import type { Activation } from './activation_functions.js';
import { slopes } from './activation_slopes.js';
import { mul } from './binary.js';

const activationGradOp = defineOp({
  kind: 'composite',
  name: 'activation_grad',
  inputs: ['x', 'dy'],
  outputs: ['dx'],
  infer({ x, dy }, _attrs: { readonly fn: Activation }) {
    expectShape('activation_grad', 'dy', dy, x.shape);
    return { dx: f32(x.shape) };
  },
  decompose: ({ x, dy }, { fn }) => ({ dx: mul(dy, slopes[fn](x)) }),
});

/** dx = dy · fn'(x), elementwise. */
export const activationGrad = (fn: Activation, x: Value, dy: Value): Value =>
  activationGradOp({ x, dy }, { fn }).dx;
