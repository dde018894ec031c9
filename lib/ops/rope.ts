import { defineOp, f32 } from '../ir/define_op.js';
import type { OnnxName } from '../ir/onnx_builder.js';
import { expectShape, fixedDim, ShapeError, showType } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { add, mul, sub } from './binary.js';
import { concat } from './concat.js';
import { reduce } from './reduce.js';
import { reshape } from './reshape.js';
import { scalar } from './scalar.js';
import { slice } from './slice.js';
import { transpose } from './transpose.js';
import { unary } from './unary.js';

const ropeOp = defineOp({
  kind: 'composite',
  name: 'rope',
  inputs: ['x', 'cos', 'sin'],
  outputs: ['y'],
  infer({ x, cos, sin }, _attrs: { readonly interleaved: boolean }) {
    const half = fixedDim('rope', 'half the rotated width', cos.shape[1]);
    if (x.shape.length !== 3) throw new ShapeError(`rope: expected x of [T,H,D], got ${showType(x)}`);
    if (2 * half > fixedDim('rope', 'the head width', x.shape[2]))
      throw new ShapeError(`rope: ${showType(x)} is narrower than 2 · ${half}`);
    expectShape('rope', 'cos', cos, [x.shape[0], half]);
    expectShape('rope', 'sin', sin, [x.shape[0], half]);
    return { y: f32(x.shape) };
  },
  onnx({ inputs: { x, cos, sin }, attrs: { interleaved }, outputs: { y }, onnx }) {
    const [, h = 0, d = 0] = x.shape;
    const batch = (id: OnnxName): OnnxName => onnx.op('Unsqueeze', [id, onnx.ints([0])]);
    const rows = onnx.op('Reshape', [x.id, onnx.ints([1, -1, Number(h) * Number(d)])]);
    const turned = onnx.op('RotaryEmbedding', [rows, batch(cos.id), batch(sin.id)], {
      interleaved: BigInt(interleaved),
      num_heads: BigInt(h),
      rotary_embedding_dim: 2n * BigInt(cos.shape[1] ?? 0),
    });
    return { y: onnx.reshape(turned, y.shape) };
  },
  decompose({ x, cos, sin }, { interleaved }) {
    const [t = 0, h = 0, d = 0] = x.shape;
    const half = Number(cos.shape[1]);
    const rotated = slice(x, 2, 0, 2 * half);
    // Interleaved pairs (2i, 2i + 1) become halves (i, half + i) by a transpose, and pairs again afterwards.
    const halves = interleaved ? pairAxes(rotated, [t, h, half, 2], [t, h, 2 * half]) : rotated;
    const a = slice(halves, 2, 0, half);
    const b = slice(halves, 2, half, 2 * half);
    const c = reshape(cos, [t, 1, half]);
    const s = reshape(sin, [t, 1, half]);
    const turned = concat(sub(mul(a, c), mul(b, s)), add(mul(b, c), mul(a, s)), 2);
    const y = interleaved ? pairAxes(turned, [t, h, 2, half], [t, h, 2 * half]) : turned;
    return { y: 2 * half === d ? y : concat(y, slice(x, 2, 2 * half, Number(d)), 2) };
  },
  gradient({ inputs: { x, cos, sin }, attrs: { interleaved }, gradients: { y: dy } }) {
    if (!dy) return {};
    // With x turned by a right angle, (−v, u), the sum of its pairs is what sin multiplies.
    const [none, all] = [mul(sin, scalar(sin, 0)), add(mul(cos, scalar(cos, 0)), scalar(cos, 1))];
    const half = Number(cos.shape[1]);
    return {
      x: rope(dy, cos, unary('neg', sin), interleaved),
      cos: sumPairs(mul(dy, x), half, interleaved),
      sin: sumPairs(mul(dy, rope(x, none, all, interleaved)), half, interleaved),
    };
  },
});

/** The sums over heads and both numbers of each pair: x [T, H, D] → [T, half]. */
function sumPairs(x: Value, half: number, interleaved: boolean): Value {
  const [t = 0, h = 0] = x.shape;
  const pairs = reshape(slice(x, 2, 0, 2 * half), interleaved ? [t, h, half, 2] : [t, h, 2, half]);
  return reshape(reduce('sum', reduce('sum', pairs, interleaved ? 3 : 2), 1), [t, half]);
}

const pairAxes = (x: Value, split: Value['shape'], merged: Value['shape']): Value =>
  reshape(transpose(reshape(x, split), [0, 1, 3, 2]), merged);

/**
 * Rotates the first 2 · half numbers of each head by the row's angles: pairs (i, half + i), or interleaved (2i, 2i + 1).
 * x [T, H, D], cos and sin [T, half] → [T, H, D]. Su et al. 2021, https://arxiv.org/abs/2104.09864
 */
export const rope = (x: Value, cos: Value, sin: Value, interleaved = false): Value =>
  ropeOp({ x, cos, sin }, { interleaved }).y;
