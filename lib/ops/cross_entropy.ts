import { defineOp, f32, type RefTensor } from '../ir/define_op.js';
import { expectShape } from '../ir/shape.js';
import type { TensorType, Value } from '../ir/value.js';
import { crossEntropyGrad } from './cross_entropy_grad.js';
import { ignoredLabel, logSumExpRow } from './cross_entropy_row.js';
import { trainingOnly } from './excluded.js';

const lossOfRow = (logits: RefTensor, row: number, label: number, smoothing: number): number => {
  if (label === ignoredLabel) return 0;
  const v = logits.shape[1] as number;
  const x = logits.data.subarray(row * v, (row + 1) * v);
  const mean = x.reduce((a, b) => a + b, 0) / v;
  return logSumExpRow(x) - (1 - smoothing) * (x[label] as number) - smoothing * mean;
};

const crossEntropyOp = defineOp({
  kind: 'primitive',
  name: 'cross_entropy',
  inputs: ['logits', 'labels'],
  outputs: ['loss'],
  infer({ logits, labels }, _attrs: { readonly smoothing: number }): { loss: TensorType } {
    expectShape('cross_entropy', 'logits', logits, [undefined, undefined]);
    expectShape('cross_entropy', 'labels', labels, [logits.shape[0]]);
    return { loss: f32(labels.shape) };
  },
  gradient({ inputs: { logits, labels }, attrs: { smoothing }, gradients: { loss: dloss } }) {
    return dloss ? { logits: crossEntropyGrad({ logits, labels, dloss }, smoothing) } : {};
  },
  onnx: trainingOnly,
  reference({ logits, labels }, { smoothing }, { loss }) {
    labels.data.forEach((label, row) => {
      loss.data[row] = lossOfRow(logits, row, label, smoothing);
    });
  },
});

/**
 * The cross-entropy of each row: log Σ exp x − (1 − s) · x[label] − s · mean(x), s = `smoothing`, as PyTorch has it; 0 where the label
 * is −100. logits [T, V], labels i32 [T], 0 … V − 1 or −100 → [T].
 */
export const crossEntropy = (logits: Value, labels: Value, smoothing = 0): Value =>
  crossEntropyOp({ logits, labels }, { smoothing }).loss;
