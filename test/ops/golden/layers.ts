import type { Value } from '../../../lib/ir/value.js';
import { activation } from '../../../lib/ops/activation.js';
import { attention } from '../../../lib/ops/attention.js';
import type { AttentionAttrs } from '../../../lib/ops/attention_attrs.js';
import { add, mul } from '../../../lib/ops/binary.js';
import { embedding } from '../../../lib/ops/embedding.js';
import { gatedActivation } from '../../../lib/ops/gated_activation.js';
import { kvBlockSize, kvWrite } from '../../../lib/ops/kv_write.js';
import { layerNorm } from '../../../lib/ops/layer_norm.js';
import { linear } from '../../../lib/ops/linear.js';
import { matmul } from '../../../lib/ops/matmul.js';
import { pagedAttention } from '../../../lib/ops/paged_attention.js';
import { reshape } from '../../../lib/ops/reshape.js';
import { rmsNorm } from '../../../lib/ops/rms_norm.js';
import { rope } from '../../../lib/ops/rope.js';
import { softmax } from '../../../lib/ops/softmax.js';
import { transpose } from '../../../lib/ops/transpose.js';
import { type Build, type Operands, shapeOf, standardize, times } from './operands.js';

/** The goldens' angles are float64, those of rope_table f32, as models have them: at position 4095 that is 1e-4. */
function rotated(o: Operands, base: number, interleaved: boolean): Value {
  const angles = o.numbers(1).flatMap((p) => Array.from({ length: 8 }, (_, i) => p * base ** (-i / 8)));
  const table = (f: (angle: number) => number): Value =>
    o.graph.constant('f32', [angles.length / 8, 8], angles.map(f));
  return rope(o.x(0), table(Math.cos), table(Math.sin), interleaved);
}

interface Attend {
  readonly causal?: boolean;
  readonly window?: number;
  readonly softcap?: number;
  readonly slopes?: readonly number[];
  /** Where packed sequences begin, and the end. */
  readonly starts?: readonly number[];
}

const attrsOf = (q: Value, { causal = true, window = 0, softcap = 0 }: Attend): AttentionAttrs => ({
  scale: (shapeOf(q)[2] as number) ** -0.5,
  causal,
  window,
  softcap,
});
const slopesOf = (o: Operands, { slopes }: Attend): Value | undefined =>
  slopes && o.graph.constant('f32', [slopes.length], slopes);

function packed(o: Operands, options: Attend): Value {
  const [q, k, v] = [o.x(0), o.x(1), o.x(2)];
  const starts = (x: Value): Value => {
    const s = options.starts ?? [0, shapeOf(x)[0] as number];
    return o.graph.constant('i32', [s.length], s);
  };
  return attention(
    { q, k, v, q_starts: starts(q), k_starts: starts(k), slopes: slopesOf(o, options) },
    attrsOf(q, options),
  );
}

/** The same through the cache, every sequence in a block of its own, the last sequence in the first block. */
function paged(o: Operands, options: Attend): Value {
  const [q, k, v] = [o.x(0), o.x(1), o.x(2)];
  const [rows = 0, h = 0, d = 0] = shapeOf(k);
  const starts = options.starts ?? [0, rows];
  const blocks = starts.length - 1;
  const i32 = (data: readonly number[], shape = [data.length]): Value => o.graph.constant('i32', shape, data);
  const lengths = starts.slice(1).map((end, b) => end - (starts[b] as number));
  const slots = lengths.flatMap((n, b) =>
    Array.from({ length: n }, (_, i) => (blocks - 1 - b) * kvBlockSize + i),
  );
  const state = (name: string): Value => o.graph.state(name, 'f32', [blocks, kvBlockSize, h, d]);
  const caches = kvWrite({ k, v, k_cache: state('k_cache'), v_cache: state('v_cache'), slots: i32(slots) });
  return pagedAttention(
    {
      q,
      ...caches,
      slopes: slopesOf(o, options),
      q_starts: i32(options.starts ?? [0, shapeOf(q)[0] as number]),
      context_lens: i32(lengths),
      block_tables: i32(
        lengths.map((_, b) => blocks - 1 - b),
        [blocks, 1],
      ),
    },
    attrsOf(q, options),
  );
}

const attentions: Readonly<Record<string, Attend>> = {
  attention_causal_gqa: {},
  attention_causal_mqa_odd: {},
  attention_full: { causal: false },
  attention_packed: { starts: [0, 4, 5, 11] },
  attention_sliding_4: { window: 4 },
  attention_softcap_20: { softcap: 20 },
  attention_alibi: { slopes: [0.25, 0.0625, 0.015625, 0.00390625] },
};

/** Attention entries through the paged cache. */
export const pagedLayers: Readonly<Record<string, Build>> = Object.fromEntries(
  Object.entries(attentions).map(([name, options]): [string, Build] => [name, (o) => paged(o, options)]),
);

export const layers: Readonly<Record<string, Build>> = {
  linear: (o) => linear(o.x(0), o.param(1), o.param(2)),
  embedding: (o) => embedding(o.param(1), o.ids(0)),
  layer_norm: (o) => layerNorm(o.x(0), o.param(1), o.param(2), 1e-5),
  rms_norm: (o) => rmsNorm(o.x(0), o.param(1), 1e-6),
  add_rms_norm: (o) => rmsNorm(add(o.x(0), o.x(1)), o.param(2), 1e-5),
  instance_norm: (o) => standardize(reshape(o.x(0), [18, 20]), 1e-5),
  batch_norm_train: (o) => {
    const x = standardize(reshape(transpose(o.x(0), [1, 0, 2, 3]), [9, 40]), 1e-5);
    const y = add(mul(x, reshape(o.x(1), [9, 1])), reshape(o.x(2), [9, 1]));
    return transpose(reshape(y, [9, 2, 20]), [1, 0, 2]);
  },
  swiglu: (o) => mul(activation('silu', linear(o.x(0), o.param(1))), linear(o.x(0), o.param(2))),
  geglu_tanh: (o) => gatedActivation('gelu_tanh', linear(o.x(0), o.param(1)), linear(o.x(0), o.param(2))),
  rope_half: (o) => rotated(o, 10_000, false),
  rope_interleaved: (o) => rotated(o, 500_000, true),
  attention_masked: (o) => {
    const scores = times(matmul(o.x(0), transpose(o.x(1), [0, 1, 3, 2])), 1 / Math.sqrt(8));
    return matmul(softmax(add(scores, o.x(3))), o.x(2));
  },
  ...Object.fromEntries(
    Object.entries(attentions).map(([name, options]): [string, Build] => [name, (o) => packed(o, options)]),
  ),
};
