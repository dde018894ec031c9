import { defineOp, f32 } from '../ir/define_op.js';
import { expectShape, fixedDim, ShapeError, showType } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { type GroupNormAttrs, groupNormGrad } from './group_norm_grad.js';
import { reduce } from './reduce.js';
import { reshape } from './reshape.js';

// No composite: the numbers that a mean is taken over are not known before the run.
const groupNormOp = defineOp({
  kind: 'primitive',
  name: 'group_norm',
  inputs: ['x', 'weight', 'bias'],
  outputs: ['y'],
  infer({ x, weight, bias }, { groups }: GroupNormAttrs) {
    if (x.shape.length < 2) throw new ShapeError(`group_norm: expected x of [N, C, ...], got ${showType(x)}`);
    const channels = fixedDim('group_norm', 'the channels of x', x.shape[1]);
    if (!Number.isInteger(groups) || groups < 1 || channels % groups !== 0)
      throw new ShapeError(`group_norm: expected groups to divide the ${channels} channels, got ${groups}`);
    expectShape('group_norm', 'weight', weight, [channels]);
    expectShape('group_norm', 'bias', bias, [channels]);
    return { y: f32(x.shape) };
  },
  gradient({ inputs: { x, weight, bias }, attrs, gradients: { y: dy } }) {
    if (!dy) return {};
    const { dx, dweight, dbias } = groupNormGrad({ x, weight, dy }, attrs);
    return {
      x: dx,
      weight: reshape(reduce('sum', dweight, 0), weight.shape),
      bias: reshape(reduce('sum', dbias, 0), bias.shape),
    };
  },
  onnx: ({ inputs: { x, weight, bias }, attrs: { groups, eps }, onnx }) => ({
    y: onnx.op('GroupNormalization', [x.id, onnx.as('f32', weight), onnx.as('f32', bias)], {
      num_groups: BigInt(groups),
      epsilon: eps,
    }),
  }),
  reference({ x, weight, bias }, { groups, eps }, { y }) {
    const [n, channels, ...inner] = x.shape as [number, number, ...number[]];
    const pixels = inner.reduce((a, b) => a * b, 1);
    const size = (channels / groups) * pixels;
    for (let g = 0; g < n * groups; g++) {
      const group = x.data.subarray(g * size, (g + 1) * size);
      const mean = group.reduce((a, v) => a + v, 0) / size;
      const variance = group.reduce((a, v) => a + (v - mean) ** 2, 0) / size;
      const scale = 1 / Math.sqrt(variance + eps);
      for (let i = 0; i < size; i++) {
        const c = Math.floor((g * size + i) / pixels) % channels;
        y.data[g * size + i] =
          ((group[i] as number) - mean) * scale * (weight.data[c] as number) + (bias.data[c] as number);
      }
    }
  },
});

/**
 * y = (x − mean) · rsqrt(var + eps) · weight + bias, mean and biased variance over the channels of a group and all pixels.
 * x [N, C, ...], weight and bias [C] → as x. Wu & He 2018, https://arxiv.org/abs/1803.08494
 */
export const groupNorm = (
  x: Value,
  weight: Value,
  bias: Value,
  { groups, eps }: { readonly groups: number; readonly eps: number },
): Value => groupNormOp({ x, weight, bias }, { groups, eps }).y;
