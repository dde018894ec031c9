import { defineOp, f32 } from '../ir/define_op.js';
import { expectShape } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { add, mul, sub } from './binary.js';
import { layerNormGrad } from './layer_norm_grad.js';
import { meanLast } from './mean_last.js';
import { scalar } from './scalar.js';
import { unary } from './unary.js';

const layerNormOp = defineOp({
  kind: 'composite',
  name: 'layer_norm',
  inputs: ['x', 'weight', 'bias'],
  outputs: ['y'],
  infer({ x, weight, bias }, _attrs: { readonly eps: number }) {
    expectShape('layer_norm', 'weight', weight, [x.shape.at(-1)]);
    expectShape('layer_norm', 'bias', bias, [x.shape.at(-1)]);
    return { y: f32(x.shape) };
  },
  onnx: ({ inputs: { x, weight, bias }, attrs: { eps }, onnx }) => ({
    y: onnx.op('LayerNormalization', [x.id, onnx.as('f32', weight), onnx.as('f32', bias)], {
      axis: -1n,
      epsilon: eps,
    }),
  }),
  decompose({ x, weight, bias }, { eps }) {
    const centered = sub(x, meanLast(x));
    const scale = unary('rsqrt', add(meanLast(mul(centered, centered)), scalar(x, eps)));
    return { y: add(mul(mul(centered, scale), weight), bias) };
  },
  gradient({ inputs: { x, weight }, attrs: { eps }, gradients: { y: dy } }) {
    if (!dy) return {};
    const { dx, dweight, dbias } = layerNormGrad({ x, weight, dy }, eps);
    return { x: dx, weight: dweight, bias: dbias };
  },
});

/**
 * y = (x − mean) · rsqrt(var + eps) · weight + bias over the last axis, biased variance. x [..., C] → [..., C].
 * Ba et al. 2016, https://arxiv.org/abs/1607.06450
 */
export const layerNorm = (x: Value, weight: Value, bias: Value, eps: number): Value =>
  layerNormOp({ x, weight, bias }, { eps }).y;
