import { defineOp, f32 } from '../ir/define_op.js';
import { expectShape } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { add, mul, sub } from './binary.js';
import { meanLast } from './mean_last.js';
import { scalar } from './scalar.js';
import { sumTo } from './sum_to.js';
import { unary } from './unary.js';

const layerNormGradOp = defineOp({
  kind: 'composite',
  name: 'layer_norm_grad',
  inputs: ['x', 'weight', 'dy'],
  outputs: ['dx', 'dweight', 'dbias'],
  infer({ x, weight, dy }, _attrs: { readonly eps: number }) {
    expectShape('layer_norm_grad', 'weight', weight, [x.shape.at(-1)]);
    expectShape('layer_norm_grad', 'dy', dy, x.shape);
    return { dx: f32(x.shape), dweight: f32(weight.shape), dbias: f32(weight.shape) };
  },
  decompose({ x, weight, dy }, { eps }) {
    const centered = sub(x, meanLast(x));
    const scale = unary('rsqrt', add(meanLast(mul(centered, centered)), scalar(x, eps)));
    const h = mul(centered, scale);
    const g = mul(dy, weight);
    const dx = mul(scale, sub(sub(g, meanLast(g)), mul(h, meanLast(mul(g, h)))));
    return { dx, dweight: sumTo(mul(dy, h), weight.shape), dbias: sumTo(dy, weight.shape) };
  },
});

/** The gradients of x, weight and bias from that of {@link layerNorm}'s result. x, dy [..., C], weight [C] → [..., C], [C], [C]. */
export const layerNormGrad = (
  inputs: Parameters<typeof layerNormGradOp>[0],
  eps: number,
): { readonly dx: Value; readonly dweight: Value; readonly dbias: Value } => layerNormGradOp(inputs, { eps });
