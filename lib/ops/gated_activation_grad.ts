import { defineOp, f32 } from '../ir/define_op.js';
import { expectShape } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { type Activation, activations } from './activation_functions.js';
import { slopes } from './activation_slopes.js';
import { mul } from './binary.js';

const gatedActivationGradOp = defineOp({
  kind: 'composite',
  name: 'gated_activation_grad',
  inputs: ['gate', 'up', 'dy'],
  outputs: ['dgate', 'dup'],
  infer({ gate, up, dy }, _attrs: { readonly fn: Activation }) {
    expectShape('gated_activation_grad', 'up', up, gate.shape);
    expectShape('gated_activation_grad', 'dy', dy, gate.shape);
    return { dgate: f32(gate.shape), dup: f32(gate.shape) };
  },
  decompose: ({ gate, up, dy }, { fn }) => ({
    dgate: mul(mul(dy, slopes[fn](gate)), up),
    dup: mul(dy, activations[fn](gate)),
  }),
});

/** The gradients of gate and up from that of {@link gatedActivation}'s result: dgate = dy · fn'(gate) · up, dup = dy · fn(gate). */
export const gatedActivationGrad = (
  fn: Activation,
  inputs: Parameters<typeof gatedActivationGradOp>[0],
): { readonly dgate: Value; readonly dup: Value } => gatedActivationGradOp(inputs, { fn });
