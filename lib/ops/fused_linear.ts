import { defineOp, f32 } from '../ir/define_op.js';
import { expectShape, fixedDim, ShapeError } from '../ir/shape.js';
import type { TensorType, Value } from '../ir/value.js';
import { activation } from './activation.js';
import type { Activation } from './activation_functions.js';
import { add, mul } from './binary.js';
import { concat } from './concat.js';
import { linear } from './linear.js';
import { expectRowsFor, quantizedLinear } from './quantized_linear.js';

/** How several weights make one result: `one` weight, a gate and an up projection, or columns side by side. */
export type Combine = 'one' | 'gate' | 'concat';

interface FusedLinearAttrs extends Record<string, string> {
  readonly combine: Combine;
  readonly activation: Activation;
}

const widthOf = (w: TensorType): number => fixedDim('fused_linear', 'the rows of a weight', w.shape[0]);

const fusedLinearOp = defineOp({
  kind: 'composite',
  name: 'fused_linear',
  inputs: ['x', 'x_scale?', 'w0', 'w1?', 'w2?', 'b0?', 'b1?', 'b2?', 'residual?'],
  outputs: ['y'],
  infer({ x, x_scale, w0, w1, w2, residual }, { combine }: FusedLinearAttrs) {
    const widths = [w0, w1, w2].filter((w) => w !== undefined).map(widthOf);
    if (combine !== 'concat' && widths.length !== (combine === 'gate' ? 2 : 1)) {
      throw new ShapeError(`fused_linear: "${combine}" does not take ${widths.length} weights`);
    }
    if ([w1, w2].some((w) => w && w.dtype !== w0.dtype))
      throw new ShapeError('fused_linear: expected weights of one type');
    if (x_scale) expectRowsFor('fused_linear', w0, x, x_scale);
    const n = combine === 'concat' ? widths.reduce((a, b) => a + b, 0) : (widths[0] as number);
    const shape = [...x.shape.slice(0, -1), n];
    if (residual) expectShape('fused_linear', 'residual', residual, shape);
    return { y: f32(shape) };
  },
  decompose({ x, x_scale, w0, w1, w2, b0, b1, b2, residual }, attrs) {
    const product = (w: Value, b: Value | undefined): Value =>
      x_scale ? quantizedLinear(x, x_scale, w, b) : linear(x, w, b);
    let y = product(w0, b0);
    if (attrs.combine === 'gate') y = mul(activation(attrs.activation, y), product(w1 as Value, b1));
    else {
      if (w1) y = concat(y, product(w1, b1), -1);
      if (w2) y = concat(y, product(w2, b2), -1);
      y = activation(attrs.activation, y);
    }
    return { y: residual ? add(y, residual) : y };
  },
});

export type FusedLinearInputs = Parameters<typeof fusedLinearOp>[0];

/**
 * One pass over several weights. `one`: act(x·W0ᵀ + b0); `gate`: act(x·W0ᵀ + b0) ⊙ (x·W1ᵀ + b1); `concat`: the results of up to
 * three weights side by side. Then + residual. x [..., K], w [N, K] → [..., N]. With x_scale, x is bytes as `quantize_rows` gives
 * them, the weights are q8, and products are those of `quantized_linear`.
 */
export const fusedLinear = (inputs: FusedLinearInputs, attrs: FusedLinearAttrs): Value =>
  fusedLinearOp(inputs, attrs).y;
