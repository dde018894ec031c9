import { defineOp, f32, type Named, type RefTensor } from '../ir/define_op.js';
import type { OnnxBuilder, OnnxName, OnnxValue } from '../ir/onnx_builder.js';
import { expectShape, type Shape, ShapeError, showType } from '../ir/shape.js';
import type { TensorType, Value } from '../ir/value.js';
import type { AttentionAttrs } from './attention_attrs.js';
import { attentionGrad } from './attention_grad.js';
import {
  denseAttention,
  type Places,
  packedRows,
  sizeOfDim,
  visibleKeys,
  zeroUnseeing,
} from './attention_onnx.js';

/** Output type, from q [T, H, D] and the heads of the keys. Throws {@link ShapeError}. */
export function inferAttention(
  op: string,
  q: TensorType,
  kvHeads: number,
  headDim: Shape[number],
  slopes: TensorType | undefined,
): { y: TensorType } {
  const [, heads, d] = q.shape;
  if (q.shape.length !== 3 || typeof heads !== 'number' || d !== headDim || heads % kvHeads !== 0) {
    throw new ShapeError(
      `${op}: expected q of [T, multiple of ${kvHeads}, ${String(headDim)}], got ${showType(q)}`,
    );
  }
  if (slopes) expectShape(op, 'slopes', slopes, [heads]);
  return { y: f32(q.shape) };
}

/** One sequence's attention: rows [begin, end) of q and y, keys and values by position through `at` (an element offset). */
export interface AttendOptions {
  readonly q: RefTensor;
  readonly k: RefTensor;
  readonly v: RefTensor;
  readonly y: RefTensor;
  readonly slopes: RefTensor | undefined;
  readonly begin: number;
  readonly end: number;
  readonly keys: number;
  readonly kvHeads: number;
  at(position: number, kvHead: number): number;
}

/** The definition of attention for one sequence, in float64. */
export function attendSequence(o: AttendOptions, attrs: AttentionAttrs): void {
  const [, heads, d] = o.q.shape as [number, number, number];
  for (let t = o.begin; t < o.end; t++) {
    const i = o.keys - o.end + t;
    for (let h = 0; h < heads; h++)
      attendRow(o, attrs, { t, i, h, d, heads, kvHead: Math.floor(h / (heads / o.kvHeads)) });
  }
}

function attendRow(
  o: AttendOptions,
  attrs: AttentionAttrs,
  row: {
    readonly t: number;
    readonly i: number;
    readonly h: number;
    readonly d: number;
    readonly heads: number;
    readonly kvHead: number;
  },
): void {
  const { t, i, h, d, heads, kvHead } = row;
  const at = (t * heads + h) * d;
  const scores: number[] = [];
  const first = attrs.window > 0 ? Math.max(0, i - attrs.window + 1) : 0;
  const last = attrs.causal ? i : o.keys - 1;
  for (let j = first; j <= last; j++) {
    const key = o.at(j, kvHead);
    let dot = 0;
    for (let c = 0; c < d; c++) dot += (o.q.data[at + c] as number) * (o.k.data[key + c] as number);
    let score = dot * attrs.scale;
    if (attrs.softcap > 0) score = attrs.softcap * Math.tanh(score / attrs.softcap);
    scores.push(score + (o.slopes ? (o.slopes.data[h] as number) * (j - i) : 0));
  }
  const max = scores.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const weights = scores.map((s) => Math.exp(s - max));
  const sum = weights.reduce((a, b) => a + b, 0);
  for (let c = 0; c < d; c++) {
    let acc = 0;
    weights.forEach((w, n) => {
      acc += w * (o.v.data[o.at(first + n, kvHead) + c] as number);
    });
    o.y.data[at + c] = sum > 0 ? acc / sum : 0;
  }
}

type AttentionInputs = ['q', 'k', 'v', 'q_starts', 'k_starts', 'slopes?'];

/** All packed sequences as one dense batch, in which a row sees its own sequence only: y [1, T, H·D]. */
function packedAttention(
  { q, k, v, q_starts, k_starts, slopes }: Named<AttentionInputs, OnnxValue>,
  attrs: AttentionAttrs,
  onnx: OnnxBuilder,
): OnnxName {
  const queries = packedRows(onnx, q_starts, sizeOfDim(onnx, q, 0));
  const keys = packedRows(onnx, k_starts, sizeOfDim(onnx, k, 0));
  const unsqueeze = (id: OnnxName, ...axes: number[]): OnnxName =>
    onnx.op('Unsqueeze', [id, onnx.ints(axes)]);
  const ofSequence = (id: OnnxName, rows: OnnxName): OnnxName => onnx.op('Gather', [id, rows]);
  // A query stands as far before its sequence's last key as its row before the sequence's last row.
  const lead = onnx.op('Sub', [keys.length, queries.end]);
  const query = onnx.op('Add', [queries.row, ofSequence(lead, queries.sequence)]); // [T]
  const key = onnx.op('Sub', [keys.row, ofSequence(keys.begin, keys.sequence)]); // [S]
  const own = onnx.op('Equal', [unsqueeze(queries.sequence, 0, 2), unsqueeze(keys.sequence, 0, 1)]);
  const places: Places = { query: unsqueeze(query, 0, 2), key: unsqueeze(key, 0, 1), own };
  const visible = visibleKeys(onnx, attrs, places);
  const [, heads = 0, d = 0] = q.shape.map(Number);
  const kvHeads = Number(k.shape[1]);
  const rows = (x: OnnxValue, count: number): OnnxName => onnx.reshape(x.id, [1, x.shape[0] ?? 0, count * d]);
  const [y = ''] = denseAttention(onnx, attrs, {
    q: rows(q, heads),
    k: rows(k, kvHeads),
    v: rows(v, kvHeads),
    heads,
    kvHeads,
    visible,
    slopes: slopes && { values: slopes, places },
  });
  return zeroUnseeing(onnx, y, visible);
}

const attentionOp = defineOp({
  kind: 'primitive',
  name: 'attention',
  inputs: ['q', 'k', 'v', 'q_starts', 'k_starts', 'slopes?'],
  outputs: ['y'],
  infer({ q, k, v, q_starts, k_starts, slopes }, _attrs: AttentionAttrs) {
    const [, kvHeads, d = 0] = k.shape;
    if (typeof kvHeads !== 'number')
      throw new ShapeError(`attention: expected k of [S,Hkv,D], got ${showType(k)}`);
    expectShape('attention', 'v', v, k.shape);
    expectShape('attention', 'k_starts', k_starts, q_starts.shape);
    return inferAttention('attention', q, kvHeads, d, slopes);
  },
  gradient({ inputs, attrs, gradients: { y: dy } }) {
    if (!dy) return {};
    const { dq, dk, dv } = attentionGrad({ ...inputs, dy }, attrs);
    return { q: dq, k: dk, v: dv };
  },
  onnx: ({ inputs, attrs, outputs, onnx }) => ({
    y: onnx.reshape(packedAttention(inputs, attrs, onnx), outputs.y.shape),
  }),
  reference({ q, k, v, q_starts, k_starts, slopes }, attrs, { y }) {
    const [, kvHeads, d] = k.shape as [number, number, number];
    for (let b = 0; b + 1 < q_starts.data.length; b++) {
      const start = k_starts.data[b] as number;
      attendSequence(
        {
          q,
          k,
          v,
          y,
          slopes,
          kvHeads,
          begin: q_starts.data[b] as number,
          end: q_starts.data[b + 1] as number,
          keys: (k_starts.data[b + 1] as number) - start,
          at: (position, kvHead) => ((start + position) * kvHeads + kvHead) * d,
        },
        attrs,
      );
    }
  },
});

/**
 * softmax(scale · q·kᵀ + mask)·v inside each packed sequence; heads of q share those of k in groups. Sequence b has the query rows
 * q_starts[b] … and the keys k_starts[b] …; its last query stands at its last key. slopes [H]: ALiBi, + slope · (j − i).
 * q [T, H, D], k and v [S, Hkv, D], starts i32 [B + 1] → [T, H, D]. Vaswani et al. 2017, https://arxiv.org/abs/1706.03762
 */
export const attention = (inputs: Parameters<typeof attentionOp>[0], attrs: AttentionAttrs): Value =>
  attentionOp(inputs, attrs).y;
