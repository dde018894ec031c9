import { defineOp, f32 } from '../ir/define_op.js';
import { type Dim, expectShape } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { trainingOnly } from './excluded.js';

const embeddingGradOp = defineOp({
  kind: 'primitive',
  name: 'embedding_grad',
  inputs: ['ids', 'dy'],
  outputs: ['dw'],
  infer({ ids, dy }, { rows }: { readonly rows: Dim }) {
    expectShape('embedding_grad', 'dy', dy, [...ids.shape, undefined]);
    return { dw: f32([rows, dy.shape.at(-1) ?? 0]) };
  },
  gradient: 'none',
  onnx: trainingOnly,
  reference({ ids, dy }, _attrs, { dw }) {
    const c = dw.shape[1] as number;
    ids.data.forEach((id, i) => {
      for (let k = 0; k < c; k++) (dw.data[id * c + k] as number) += dy.data[i * c + k] as number;
    });
  },
});

/**
 * The gradient of a table from that of its gathered rows: dw[j] = Σ dy[i] over the i, in order, with ids[i] = j.
 * ids i32 [...], below `rows`; dy [..., C] → [rows, C].
 */
export const embeddingGrad = (ids: Value, dy: Value, rows: Dim): Value =>
  embeddingGradOp({ ids, dy }, { rows }).dw;
