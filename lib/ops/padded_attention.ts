import { defineOp, f32, type Named, type RefTensor } from '../ir/define_op.js';
import type { OnnxBuilder, OnnxName, OnnxValue } from '../ir/onnx_builder.js';
import { expectShape, fixedDim, ShapeError, showType } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import type { AttentionAttrs } from './attention_attrs.js';
import { denseAttention, type Places, range, sizeOfDim, visibleKeys } from './attention_onnx.js';

type PaddedAttrs = Pick<AttentionAttrs, 'scale' | 'window' | 'softcap'>;
type PaddedInputs<T> = Named<['q', 'k', 'v', 'past_k', 'past_v', 'mask', 'slopes?'], T>;

const op = 'padded_attention'; // as errors name it

/** Copies past [B, Hkv, P, D] and rows [B, S, Hkv, D] one after the other into present [B, Hkv, P + S, D]. */
function append(past: RefTensor, rows: RefTensor, present: RefTensor): void {
  const [b, heads, length, d] = present.shape as [number, number, number, number];
  const [before, added] = [past.shape[2], rows.shape[1]] as [number, number];
  for (let n = 0; n < b * heads; n++) {
    const to = n * length * d;
    present.data.set(past.data.subarray(n * before * d, (n + 1) * before * d), to);
    const [batch, head] = [Math.floor(n / heads), n % heads];
    for (let s = 0; s < added; s++) {
      const from = ((batch * added + s) * heads + head) * d;
      present.data.set(rows.data.subarray(from, from + d), to + (before + s) * d);
    }
  }
}

interface Row {
  readonly b: number;
  readonly h: number;
  readonly kvHead: number;
  /** Place of the query, and where its numbers begin. */
  readonly i: number;
  readonly at: number;
}

function attendRow(
  { q, mask, slopes }: PaddedInputs<RefTensor>,
  { scale, window, softcap }: PaddedAttrs,
  { present_k, present_v, y }: Readonly<Record<'present_k' | 'present_v' | 'y', RefTensor>>,
  { b, h, kvHead, i, at }: Row,
): void {
  const [, kvHeads, length, d] = present_k.shape as [number, number, number, number];
  const base = (b * kvHeads + kvHead) * length * d;
  const seen: { readonly j: number; readonly score: number }[] = [];
  for (let j = window > 0 ? Math.max(0, i - window + 1) : 0; j <= i; j++) {
    if (j !== i && mask.data[b * length + j] === 0) continue;
    let dot = 0;
    for (let c = 0; c < d; c++)
      dot += (q.data[at + c] as number) * (present_k.data[base + j * d + c] as number);
    const capped = softcap > 0 ? softcap * Math.tanh((dot * scale) / softcap) : dot * scale;
    seen.push({ j, score: capped + (slopes ? (slopes.data[h] as number) * (j - i) : 0) });
  }
  const max = seen.reduce((m, s) => Math.max(m, s.score), Number.NEGATIVE_INFINITY);
  const sum = seen.reduce((n, s) => n + Math.exp(s.score - max), 0);
  for (const { j, score } of seen) {
    const weight = Math.exp(score - max) / sum;
    for (let c = 0; c < d; c++)
      y.data[at + c] = (y.data[at + c] as number) + weight * (present_v.data[base + j * d + c] as number);
  }
}

function toOnnx(
  { q, k, v, past_k, past_v, mask, slopes }: PaddedInputs<OnnxValue>,
  attrs: PaddedAttrs,
  onnx: OnnxBuilder,
): readonly OnnxName[] {
  const unsqueeze = (id: OnnxName, ...axes: number[]): OnnxName =>
    onnx.op('Unsqueeze', [id, onnx.ints(axes)]);
  const [, , heads = 0, d = 0] = q.shape.map(Number);
  const kvHeads = Number(k.shape[2]);
  const total = sizeOfDim(onnx, mask, 1);
  const key = range(onnx, total); // [L]
  const query = onnx.op('Range', [onnx.op('Sub', [total, sizeOfDim(onnx, q, 1)]), total, onnx.ints([1], [])]);
  const given = onnx.cast('bool', mask.id);
  const places: Places = {
    query: unsqueeze(query, 0, 2), // [1, S, 1]
    key: unsqueeze(key, 0, 1), // [1, 1, L]
    own: unsqueeze(given, 1), // [B, 1, L]
  };
  const visible = onnx.op('Or', [
    visibleKeys(onnx, { ...attrs, causal: true }, places),
    onnx.op('Equal', [places.query, places.key]),
  ]);
  const merge = (x: OnnxValue, count: number): OnnxName =>
    onnx.op('Reshape', [x.id, onnx.ints([0, 0, count * d])]);
  return denseAttention(
    onnx,
    { ...attrs, causal: true },
    {
      q: merge(q, heads),
      k: merge(k, kvHeads),
      v: merge(v, kvHeads),
      heads,
      kvHeads,
      visible,
      slopes: slopes && { values: slopes, places },
      past: [past_k.id, past_v.id],
    },
  );
}

const paddedAttentionOp = defineOp({
  kind: 'primitive',
  name: 'padded_attention',
  inputs: ['q', 'k', 'v', 'past_k', 'past_v', 'mask', 'slopes?'],
  outputs: ['y', 'present_k', 'present_v'],
  infer({ q, k, v, past_k, past_v, mask, slopes }, _attrs: PaddedAttrs) {
    const [b = 0, s = 0, heads, d = 0] = q.shape;
    const kvHeads = fixedDim(op, 'the key heads', k.shape[2]);
    if (q.shape.length !== 4 || fixedDim(op, 'the heads', heads) % kvHeads !== 0)
      throw new ShapeError(`${op}: expected q of [B,S, multiple of ${kvHeads},D], got ${showType(q)}`);
    expectShape(op, 'k', k, [b, s, kvHeads, d]);
    expectShape(op, 'v', v, k.shape);
    expectShape(op, 'past_k', past_k, [b, kvHeads, undefined, d]);
    expectShape(op, 'past_v', past_v, past_k.shape);
    expectShape(op, 'mask', mask, [b, undefined]);
    if (slopes) expectShape(op, 'slopes', slopes, [heads]);
    const present = f32([b, kvHeads, mask.shape[1] ?? 0, d]);
    return { y: f32(q.shape), present_k: present, present_v: present };
  },
  gradient: 'none',
  onnx({ inputs, attrs, outputs, onnx }) {
    const [y = '', present_k = '', present_v = ''] = toOnnx(inputs, attrs, onnx);
    return { y: onnx.reshape(y, outputs.y.shape), present_k, present_v };
  },
  reference(inputs, attrs, outputs) {
    append(inputs.past_k, inputs.k, outputs.present_k);
    append(inputs.past_v, inputs.v, outputs.present_v);
    const [batch, rows, heads, d] = inputs.q.shape as [number, number, number, number];
    const [, kvHeads, length] = outputs.present_k.shape as [number, number, number];
    for (let n = 0; n < batch * rows * heads; n++) {
      const [b, s, h] = [Math.floor(n / (rows * heads)), Math.floor(n / heads) % rows, n % heads];
      const kvHead = Math.floor(h / (heads / kvHeads));
      attendRow(inputs, attrs, outputs, { b, h, kvHead, i: length - rows + s, at: n * d });
    }
  },
});

/**
 * Causal attention of a padded batch to what came before and to itself. Row s stands at place P + s of P + S; it sees the places up
 * to its own where `mask` is not 0, and its own in any case, so that rows of padding stay finite; window, softcap and slopes as in
 * `attention`. q [B, S, H, D]; k, v [B, S, Hkv, D]; past [B, Hkv, P, D]; mask [B, P + S] → y as q, present [B, Hkv, P + S, D].
 */
export const paddedAttention = (
  inputs: PaddedInputs<Value>,
  attrs: PaddedAttrs,
): { readonly y: Value; readonly present_k: Value; readonly present_v: Value } =>
  paddedAttentionOp(inputs, attrs);
