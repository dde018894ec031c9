import { defineOp, f32 } from '../ir/define_op.js';
import { expectShape } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { add, mul } from './binary.js';
import { meanLast } from './mean_last.js';
import { rmsNormGrad } from './rms_norm_grad.js';
import { scalar } from './scalar.js';
import { unary } from './unary.js';

const rmsNormOp = defineOp({
  kind: 'composite',
  name: 'rms_norm',
  inputs: ['x', 'weight'],
  outputs: ['y'],
  infer({ x, weight }, _attrs: { readonly eps: number }) {
    expectShape('rms_norm', 'weight', weight, [x.shape.at(-1)]);
    return { y: f32(x.shape) };
  },
  onnx: ({ inputs: { x, weight }, attrs: { eps }, onnx }) => ({
    y: onnx.op('RMSNormalization', [x.id, onnx.as('f32', weight)], { axis: -1n, epsilon: eps }),
  }),
  decompose({ x, weight }, { eps }) {
    const scale = unary('rsqrt', add(meanLast(mul(x, x)), scalar(x, eps)));
    return { y: mul(mul(x, scale), weight) };
  },
  gradient({ inputs: { x, weight }, attrs: { eps }, gradients: { y: dy } }) {
    if (!dy) return {};
    const { dx, dweight } = rmsNormGrad({ x, weight, dy }, eps);
    return { x: dx, weight: dweight };
  },
});

/**
 * y = x · rsqrt(mean(x²) + eps) · weight over the last axis. x [..., C], weight [C] → [..., C].
 * Zhang & Sennrich 2019, https://arxiv.org/abs/1910.07467
 */
export const rmsNorm = (x: Value, weight: Value, eps: number): Value => rmsNormOp({ x, weight }, { eps }).y;
