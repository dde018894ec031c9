import { defineOp, f32 } from '../ir/define_op.js';
import { expectShape, fixedDim, ShapeError, showType } from '../ir/shape.js';
import type { Attrs, Value } from '../ir/value.js';

export interface GroupNormAttrs extends Attrs {
  readonly groups: number;
  readonly eps: number;
}

const groupNormGradOp = defineOp({
  kind: 'primitive',
  name: 'group_norm_grad',
  inputs: ['x', 'weight', 'dy'],
  outputs: ['dx', 'dweight', 'dbias'],
  infer({ x, weight, dy }, { groups }: GroupNormAttrs) {
    const [n] = x.shape;
    if (n === undefined || x.shape.length < 2)
      throw new ShapeError(`group_norm_grad: expected x of [N, C, ...], got ${showType(x)}`);
    const channels = fixedDim('group_norm_grad', 'the channels of x', x.shape[1]);
    if (!Number.isInteger(groups) || groups < 1 || channels % groups !== 0)
      throw new ShapeError(
        `group_norm_grad: expected groups to divide the ${channels} channels, got ${groups}`,
      );
    expectShape('group_norm_grad', 'weight', weight, [channels]);
    expectShape('group_norm_grad', 'dy', dy, x.shape);
    return { dx: f32(x.shape), dweight: f32([n, channels]), dbias: f32([n, channels]) };
  },
  gradient: 'none',
  onnx: { excluded: 'training runs on the cpu' },
  reference({ x, weight, dy }, { groups, eps }, { dx, dweight, dbias }) {
    const [n, channels, ...inner] = x.shape as [number, number, ...number[]];
    const pixels = inner.reduce((a, b) => a * b, 1);
    const size = (channels / groups) * pixels;
    for (let g = 0; g < n * groups; g++) {
      const group = x.data.subarray(g * size, (g + 1) * size);
      const mean = group.reduce((a, v) => a + v, 0) / size;
      const variance = group.reduce((a, v) => a + (v - mean) ** 2, 0) / size;
      const scale = 1 / Math.sqrt(variance + eps);
      // Means of weight · dy and weight · dy · x̂.
      const means = [0, 0] as [number, number];
      for (let i = 0; i < size; i++) {
        const plane = Math.floor((g * size + i) / pixels);
        const [normed, d] = [((group[i] as number) - mean) * scale, dy.data[g * size + i] as number];
        const w = weight.data[plane % channels] as number;
        dweight.data[plane] = (dweight.data[plane] as number) + d * normed;
        dbias.data[plane] = (dbias.data[plane] as number) + d;
        means[0] += (w * d) / size;
        means[1] += (w * d * normed) / size;
      }
      for (let i = 0; i < size; i++) {
        const plane = Math.floor((g * size + i) / pixels);
        const [normed, d] = [((group[i] as number) - mean) * scale, dy.data[g * size + i] as number];
        const w = weight.data[plane % channels] as number;
        dx.data[g * size + i] = scale * (w * d - means[0] - normed * means[1]);
      }
    }
  },
});

/**
 * Gradients of `group_norm`: dx = s · (w·dy − mean(w·dy) − x̂ · mean(w·dy·x̂)) with s = rsqrt(var + eps), x̂ = (x − mean) · s and means over
 * a group; of weight and bias Σ dy·x̂ and Σ dy over the pixels, for each picture. x and dy [N, C, ...], weight [C] → dx as x, dweight and
 * dbias [N, C].
 */
export const groupNormGrad = (
  inputs: Parameters<typeof groupNormGradOp>[0],
  attrs: GroupNormAttrs,
): Readonly<Record<'dx' | 'dweight' | 'dbias', Value>> => groupNormGradOp(inputs, attrs);
