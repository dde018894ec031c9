import { defineOp, f32 } from '../ir/define_op.js';
import { expectShape } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { add, mul, sub } from './binary.js';
import { meanLast } from './mean_last.js';
import { scalar } from './scalar.js';
import { sumTo } from './sum_to.js';
import { unary } from './unary.js';

const rmsNormGradOp = defineOp({
  kind: 'composite',
  name: 'rms_norm_grad',
  inputs: ['x', 'weight', 'dy'],
  outputs: ['dx', 'dweight'],
  infer({ x, weight, dy }, _attrs: { readonly eps: number }) {
    expectShape('rms_norm_grad', 'weight', weight, [x.shape.at(-1)]);
    expectShape('rms_norm_grad', 'dy', dy, x.shape);
    return { dx: f32(x.shape), dweight: f32(weight.shape) };
  },
  decompose({ x, weight, dy }, { eps }) {
    const scale = unary('rsqrt', add(meanLast(mul(x, x)), scalar(x, eps)));
    const h = mul(x, scale);
    const g = mul(dy, weight);
    return { dx: mul(scale, sub(g, mul(h, meanLast(mul(g, h))))), dweight: sumTo(mul(dy, h), weight.shape) };
  },
});

/** The gradients of x and weight from that of {@link rmsNorm}'s result. x, dy [..., C], weight [C] → [..., C] and [C]. */
export const rmsNormGrad = (
  inputs: Parameters<typeof rmsNormGradOp>[0],
  eps: number,
): { readonly dx: Value; readonly dweight: Value } => rmsNormGradOp(inputs, { eps });
