import { defineOp, f32, type RefTensor } from '../ir/define_op.js';
import { type Dim, expectShape } from '../ir/shape.js';
import { chooseToken } from './sampling/choose.js';
import { unpackRow } from './sampling/pack_rows.js';
import { floatColumns, intColumns } from './sampling/row.js';

const rowOf = (t: RefTensor, r: number): Float64Array => {
  const width = t.shape[1] ?? 0;
  return t.data.subarray(r * width, (r + 1) * width);
};

/** Attributes of the op `sample`. */
export interface SampleAttrs extends Record<string, Dim> {
  /** How many of the best ids are listed: a symbol that the run binds, or a number. */
  readonly k: Dim;
}

/**
 * The next token of each row, from its logits and what the row says (sampling/row.ts holds the columns): logits processors, then
 * the greatest, a draw, or beam candidates. logits [R, V], row_floats [R, 8], row_ints [R, 24], lists [L] → ids [R] (−1: all
 * logits are NaN), logprobs [R] of those ids under the raw logits, and the K best: top_ids, top_logprobs [R, K], in descending
 * order, of equals the smaller id; in mode beam they are the best processed scores of the log softmax.
 */
export const sample = defineOp({
  kind: 'primitive',
  name: 'sample',
  inputs: ['logits', 'row_floats', 'row_ints', 'lists'],
  outputs: ['ids', 'logprobs', 'top_ids', 'top_logprobs'],
  infer({ logits, row_floats, row_ints, lists }, { k }: SampleAttrs) {
    const [r = 0] = logits.shape;
    expectShape('sample', 'logits', logits, [r, undefined]);
    expectShape('sample', 'row_floats', row_floats, [r, floatColumns]);
    expectShape('sample', 'row_ints', row_ints, [r, intColumns]);
    expectShape('sample', 'lists', lists, [undefined]);
    return {
      ids: { dtype: 'i32', shape: [r] },
      logprobs: f32([r]),
      top_ids: { dtype: 'i32', shape: [r, k] },
      top_logprobs: f32([r, k]),
    };
  },
  gradient: 'none',
  onnx: {
    excluded: 'seeded draws are defined by 64-bit counters and float64 sums, which ONNX lacks',
  },
  reference({ logits, row_floats, row_ints, lists }, _attrs, { ids, logprobs, top_ids, top_logprobs }) {
    const [rows = 0, vocabulary = 0] = logits.shape;
    for (let r = 0; r < rows; r++) {
      const row = unpackRow(rowOf(row_floats, r), rowOf(row_ints, r), lists.data, vocabulary);
      const { id, logprob, top } = chooseToken(rowOf(logits, r), row, top_ids.shape[1] ?? 0);
      ids.data[r] = id;
      logprobs.data[r] = logprob;
      rowOf(top_ids, r).set(top.ids);
      rowOf(top_logprobs, r).set(top.scores);
    }
  },
});
