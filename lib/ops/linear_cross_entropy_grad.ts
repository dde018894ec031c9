import { defineOp, f32 } from '../ir/define_op.js';
import { expectShape } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { crossEntropy } from './cross_entropy.js';
import { crossEntropyGrad } from './cross_entropy_grad.js';
import { trainingOnly } from './excluded.js';
import { linear } from './linear.js';
import { type Compute, matmul } from './matmul.js';

/** `compute`: what x and w are rounded to before they are multiplied. */
export type LinearCrossEntropyAttrs = { readonly smoothing: number; readonly compute?: 'bf16' };

const linearCrossEntropyGradOp = defineOp({
  kind: 'composite',
  name: 'linear_cross_entropy_grad',
  inputs: ['x', 'w', 'labels', 'dloss'],
  outputs: ['loss', 'dx', 'dw'],
  infer({ x, w, labels, dloss }, _attrs: LinearCrossEntropyAttrs) {
    expectShape('linear_cross_entropy_grad', 'x', x, [undefined, undefined]);
    expectShape('linear_cross_entropy_grad', 'w', w, [undefined, x.shape[1]]);
    expectShape('linear_cross_entropy_grad', 'labels', labels, [x.shape[0]]);
    expectShape('linear_cross_entropy_grad', 'dloss', dloss, labels.shape);
    return { loss: f32(labels.shape), dx: f32(x.shape), dw: f32(w.shape) };
  },
  onnx: trainingOnly,
  decompose({ x, w, labels, dloss }, attrs) {
    const { smoothing } = attrs;
    const compute: Compute = attrs.compute ?? 'f32';
    const logits = linear(x, w, undefined, compute); // [T, V]
    const dlogits = crossEntropyGrad({ logits, labels, dloss }, smoothing);
    return {
      loss: crossEntropy(logits, labels, smoothing),
      dx: matmul(dlogits, w, { compute }),
      dw: matmul(dlogits, x, { transposeA: true, compute }),
    };
  },
});

/**
 * The gradients of x and w from that of `linearCrossEntropy`'s result, and that result, all from one pass over rows of logits.
 * x [T, D], w [V, D], labels i32 [T], dloss [T] → loss [T], dx [T, D], dw [V, D].
 */
export const linearCrossEntropyGrad = (
  inputs: Parameters<typeof linearCrossEntropyGradOp>[0],
  attrs: LinearCrossEntropyAttrs,
): { readonly loss: Value; readonly dx: Value; readonly dw: Value } =>
  linearCrossEntropyGradOp(inputs, attrs);
