import { defineOp, f32 } from '../ir/define_op.js';
import { expectShape } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { activation } from './activation.js';
import type { Activation } from './activation_functions.js';
import { add } from './binary.js';
import { conv2d } from './conv2d.js';
import { type Conv2dAttrs, inferConv2d } from './conv2d_attrs.js';
import type { Pair } from './window.js';

interface FusedConv2dAttrs extends Conv2dAttrs {
  readonly activation: Activation;
}

const fusedConv2dOp = defineOp({
  kind: 'composite',
  name: 'fused_conv2d',
  inputs: ['x', 'w', 'bias?', 'residual?'],
  outputs: ['y'],
  infer(inputs, attrs: FusedConv2dAttrs) {
    const shape = inferConv2d('fused_conv2d', inputs, attrs);
    if (inputs.residual) expectShape('fused_conv2d', 'residual', inputs.residual, shape);
    return { y: f32(shape) };
  },
  decompose({ x, w, bias, residual }, { activation: fn, stride, padding, groups }) {
    const y = conv2d(x, w, { bias, stride: stride as Pair, padding: padding as Pair, groups });
    return { y: activation(fn, residual ? add(y, residual) : y) };
  },
});

export type FusedConv2dInputs = Parameters<typeof fusedConv2dOp>[0];

/** act(conv2d(x, w, bias) + residual). Operands and result are those of `conv2d`; the residual is as the result. */
export const fusedConv2d = (inputs: FusedConv2dInputs, attrs: FusedConv2dAttrs): Value =>
  fusedConv2dOp(inputs, attrs).y;
