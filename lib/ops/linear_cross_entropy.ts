import { defineOp, f32 } from '../ir/define_op.js';
import { expectShape } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { crossEntropy } from './cross_entropy.js';
import { trainingOnly } from './excluded.js';
import { linear } from './linear.js';
import { type LinearCrossEntropyAttrs, linearCrossEntropyGrad } from './linear_cross_entropy_grad.js';
import type { Compute } from './matmul.js';

const linearCrossEntropyOp = defineOp({
  kind: 'composite',
  name: 'linear_cross_entropy',
  inputs: ['x', 'w', 'labels'],
  outputs: ['loss'],
  infer({ x, w, labels }, _attrs: LinearCrossEntropyAttrs) {
    expectShape('linear_cross_entropy', 'x', x, [undefined, undefined]);
    expectShape('linear_cross_entropy', 'w', w, [undefined, x.shape[1]]);
    expectShape('linear_cross_entropy', 'labels', labels, [x.shape[0]]);
    return { loss: f32(labels.shape) };
  },
  gradient({ inputs: { x, w, labels }, attrs, gradients: { loss: dloss } }) {
    if (!dloss) return {};
    const { dx, dw } = linearCrossEntropyGrad({ x, w, labels, dloss }, attrs);
    return { x: dx, w: dw };
  },
  onnx: trainingOnly,
  decompose({ x, w, labels }, { smoothing, compute }) {
    return { loss: crossEntropy(linear(x, w, undefined, compute), labels, smoothing) };
  },
});

/**
 * The cross-entropy of x·Wᵀ, as {@link crossEntropy} defines it, without all logits in memory at once. x [T, D], w [V, D], labels i32
 * [T], 0 … V − 1 or −100 → [T].
 */
export const linearCrossEntropy = (
  inputs: Parameters<typeof linearCrossEntropyOp>[0],
  smoothing: number,
  compute: Compute = 'f32',
): Value => linearCrossEntropyOp(inputs, compute === 'bf16' ? { smoothing, compute } : { smoothing }).loss;
