import { defineOp, f32 } from '../ir/define_op.js';
import { expectShape } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { type Activation, activations } from './activation_functions.js';
import { mul } from './binary.js';
import { gatedActivationGrad } from './gated_activation_grad.js';

const gatedActivationOp = defineOp({
  kind: 'composite',
  name: 'gated_activation',
  inputs: ['gate', 'up'],
  outputs: ['y'],
  infer({ gate, up }, _attrs: { readonly fn: Activation }) {
    expectShape('gated_activation', 'up', up, gate.shape);
    return { y: f32(gate.shape) };
  },
  decompose: ({ gate, up }, { fn }) => ({ y: mul(activations[fn](gate), up) }),
  gradient({ inputs: { gate, up }, attrs: { fn }, gradients: { y: dy } }) {
    if (!dy) return {};
    const { dgate, dup } = gatedActivationGrad(fn, { gate, up, dy });
    return { gate: dgate, up: dup };
  },
});

/** y = fn(gate) · up, elementwise. Shazeer 2020, https://arxiv.org/abs/2002.05202 */
export const gatedActivation = (fn: Activation, gate: Value, up: Value): Value =>
  gatedActivationOp({ gate, up }, { fn }).y;
