import { defineOp } from '../ir/define_op.js';
import { expectShape, fixedDim } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { type AttentionAttrs, attendSequence, inferAttention } from './attention.js';
import { kvBlockSize } from './kv_write.js';

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
  onnx: 'pending',
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
