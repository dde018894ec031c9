import { defineOp, f32 } from '../ir/define_op.js';
import { expectShape } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { ignoredLabel, logSumExpRow } from './cross_entropy_row.js';
import { trainingOnly } from './excluded.js';

const crossEntropyGradOp = defineOp({
  kind: 'primitive',
  name: 'cross_entropy_grad',
  inputs: ['logits', 'labels', 'dloss'],
  outputs: ['dlogits'],
  infer({ logits, labels, dloss }, _attrs: { readonly smoothing: number }) {
    expectShape('cross_entropy_grad', 'logits', logits, [undefined, undefined]);
    expectShape('cross_entropy_grad', 'labels', labels, [logits.shape[0]]);
    expectShape('cross_entropy_grad', 'dloss', dloss, labels.shape);
    return { dlogits: f32(logits.shape) };
  },
  gradient: 'none',
  onnx: trainingOnly,
  reference({ logits, labels, dloss }, { smoothing }, { dlogits }) {
    const v = logits.shape[1] as number;
    labels.data.forEach((label, row) => {
      if (label === ignoredLabel) return;
      const x = logits.data.subarray(row * v, (row + 1) * v);
      const log = logSumExpRow(x);
      for (let c = 0; c < v; c++) {
        const hot = c === label ? 1 - smoothing : 0;
        dlogits.data[row * v + c] =
          (dloss.data[row] as number) * (Math.exp((x[c] as number) - log) - hot - smoothing / v);
      }
    });
  },
});

/**
 * The gradient of logits from that of {@link crossEntropy}'s result: dloss · (softmax − (1 − s) · onehot − s / V), 0 where the label is
 * −100. logits [T, V], labels i32 [T], dloss [T] → [T, V].
 */
export const crossEntropyGrad = (
  inputs: Parameters<typeof crossEntropyGradOp>[0],
  smoothing: number,
): Value => crossEntropyGradOp(inputs, { smoothing }).dlogits;
