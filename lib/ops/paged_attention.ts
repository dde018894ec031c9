import { defineOp, type Named } from '../ir/define_op.js';
import type { OnnxBuilder, OnnxName, OnnxValue } from '../ir/onnx_builder.js';
import { expectShape, fixedDim } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { attendSequence, inferAttention } from './attention.js';
import type { AttentionAttrs } from './attention_attrs.js';
import {
  denseAttention,
  type Places,
  packedRows,
  range,
  sizeOfDim,
  visibleKeys,
  zeroUnseeing,
} from './attention_onnx.js';
import { kvBlockSize } from './kv_write.js';

type PagedInputs = Named<
  ['q', 'k_cache', 'v_cache', 'q_starts', 'context_lens', 'block_tables', 'slopes?'],
  OnnxValue
>;

/** The keys that the tables name, as rows of the cache: i64 [B, blocks · 16]. */
function tableRows(onnx: OnnxBuilder, tables: OnnxValue): OnnxName {
  const first = onnx.op('Mul', [onnx.as('i64', tables), onnx.ints([kvBlockSize])]);
  const places = onnx.ints([...Array(kvBlockSize).keys()]);
  const rows = onnx.op('Add', [onnx.op('Unsqueeze', [first, onnx.ints([2])]), places]); // [B, MB, 16]
  return onnx.op('Reshape', [rows, onnx.ints([0, -1])]);
}

/** Sequences as a dense batch: queries padded to the longest slice, keys to the longest table. y [T, H·D]. */
function paddedAttention(inputs: PagedInputs, attrs: AttentionAttrs, onnx: OnnxBuilder): OnnxName {
  const { q, k_cache, v_cache, q_starts, context_lens, block_tables, slopes } = inputs;
  const unsqueeze = (id: OnnxName, ...axes: number[]): OnnxName =>
    onnx.op('Unsqueeze', [id, onnx.ints(axes)]);
  const count = sizeOfDim(onnx, q, 0);
  const packed = packedRows(onnx, q_starts, count);
  const longest = onnx.op('ReduceMax', [packed.length], { keepdims: 0n });
  const offset = range(onnx, longest); // [Tq]
  const lengths = onnx.as('i64', context_lens);
  const cached = unsqueeze(onnx.op('Sub', [lengths, packed.length]), 1);
  const tables = tableRows(onnx, block_tables);
  const key = unsqueeze(
    range(onnx, onnx.op('Gather', [onnx.op('Shape', [tables]), onnx.ints([1], [])])),
    0,
    1,
  );
  const own = onnx.op('Less', [key, unsqueeze(lengths, 1, 2)]); // [B, 1, S]
  // What a table says beyond its sequence's end means nothing.
  const rows = onnx.op('Where', [onnx.op('Squeeze', [own, onnx.ints([1])]), tables, onnx.ints([0])]);
  const places: Places = { query: unsqueeze(onnx.op('Add', [cached, offset]), 2), key, own };
  const visible = visibleKeys(onnx, attrs, places);
  const [, heads = 0, d = 0] = q.shape.map(Number);
  const kvHeads = Number(k_cache.shape[2]);
  const last = onnx.op('Sub', [count, onnx.ints([1], [])]);
  const from = onnx.op('Min', [onnx.op('Add', [unsqueeze(packed.begin, 1), offset]), last]); // [B, Tq]
  const merge = (id: OnnxName, width: number): OnnxName => onnx.op('Reshape', [id, onnx.ints([0, 0, width])]);
  const [y = ''] = denseAttention(onnx, attrs, {
    q: merge(onnx.op('Gather', [q.id, from]), heads * d),
    k: merge(onnx.readRows(k_cache, 2, rows), kvHeads * d),
    v: merge(onnx.readRows(v_cache, 2, rows), kvHeads * d),
    heads,
    kvHeads,
    visible,
    slopes: slopes && { values: slopes, places },
  });
  const place = onnx.op('Sub', [packed.row, onnx.op('Gather', [packed.begin, packed.sequence])]);
  const at = onnx.op('Add', [onnx.op('Mul', [packed.sequence, longest]), place]); // [T]
  const flat = onnx.op('Reshape', [zeroUnseeing(onnx, y, visible), onnx.ints([-1, heads * d])]);
  return onnx.op('Gather', [flat, at]);
}

const pagedAttentionOp = defineOp({
  kind: 'primitive',
  name: 'paged_attention',
  inputs: ['q', 'k_cache', 'v_cache', 'q_starts', 'context_lens', 'block_tables', 'slopes?'],
  outputs: ['y'],
  infer({ q, k_cache, v_cache, context_lens, block_tables, slopes }, _attrs: AttentionAttrs) {
    expectShape('paged_attention', 'k_cache', k_cache, [undefined, kvBlockSize, undefined, undefined]);
    expectShape('paged_attention', 'v_cache', v_cache, k_cache.shape);
    expectShape('paged_attention', 'block_tables', block_tables, [context_lens.shape[0], undefined]);
    const [, , kvHeads, d = 0] = k_cache.shape;
    return inferAttention(
      'paged_attention',
      q,
      fixedDim('paged_attention', 'the key heads', kvHeads),
      d,
      slopes,
    );
  },
  gradient: 'none',
  onnx: ({ inputs, attrs, outputs, onnx }) => ({
    y: onnx.reshape(paddedAttention(inputs, attrs, onnx), outputs.y.shape),
  }),
  reference({ q, k_cache, v_cache, q_starts, context_lens, block_tables, slopes }, attrs, { y }) {
    const [, , kvHeads, d] = k_cache.shape as [number, number, number, number];
    const maxBlocks = block_tables.shape[1] as number;
    context_lens.data.forEach((keys, b) => {
      attendSequence(
        {
          q,
          k: k_cache,
          v: v_cache,
          y,
          slopes,
          kvHeads,
          keys,
          begin: q_starts.data[b] as number,
          end: q_starts.data[b + 1] as number,
          at(position, kvHead) {
            const block = block_tables.data[b * maxBlocks + Math.floor(position / kvBlockSize)] as number;
            return ((block * kvBlockSize + (position % kvBlockSize)) * kvHeads + kvHead) * d;
          },
        },
        attrs,
      );
    });
  },
});

/**
 * Attention over the KV cache. Sequence b has query rows q_starts[b] … q_starts[b + 1] − 1, the last of which stands at position
 * context_lens[b] − 1; position p lies in block block_tables[b, p / 16]. Else as {@link attention}.
 * q [T, H, D], caches [blocks, 16, Hkv, D], q_starts i32 [B + 1], context_lens i32 [B], block_tables i32 [B, blocks] → [T, H, D].
 */
export const pagedAttention = (
  inputs: Parameters<typeof pagedAttentionOp>[0],
  attrs: AttentionAttrs,
): Value => pagedAttentionOp(inputs, attrs).y;
