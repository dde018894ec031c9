import { defineOp, type RefTensor } from '../ir/define_op.js';
import { expectShape, ShapeError, showType } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import type { AttentionAttrs } from './attention_attrs.js';
import { trainingOnly } from './excluded.js';

interface Operands {
  readonly q: RefTensor;
  readonly k: RefTensor;
  readonly v: RefTensor;
  readonly dy: RefTensor;
  readonly slopes?: RefTensor | undefined;
}
interface Results {
  readonly dq: RefTensor;
  readonly dk: RefTensor;
  readonly dv: RefTensor;
}
/** A query: where its numbers lie, its head, its position, and the keys that it sees, as element offsets of k. */
interface Query {
  readonly at: number;
  readonly head: number;
  readonly position: number;
  readonly first: number;
  readonly keys: readonly number[];
}

const dotAt = (a: RefTensor, i: number, b: RefTensor, j: number, d: number): number => {
  let sum = 0;
  for (let c = 0; c < d; c++) sum += (a.data[i + c] as number) * (b.data[j + c] as number);
  return sum;
};
const addAt = (y: RefTensor, i: number, factor: number, x: RefTensor, j: number, d: number): void => {
  for (let c = 0; c < d; c++) (y.data[i + c] as number) += factor * (x.data[j + c] as number);
};

/** Adds one query's part to the gradients. */
function addQuery({ q, k, v, dy, slopes }: Operands, attrs: AttentionAttrs, to: Results, query: Query): void {
  const { at, keys, position, first } = query;
  const d = q.shape[2] as number;
  const slope = slopes?.data[query.head] ?? 0;
  const capped = keys.map((j) => {
    const score = attrs.scale * dotAt(q, at, k, j, d);
    return attrs.softcap > 0 ? attrs.softcap * Math.tanh(score / attrs.softcap) : score;
  });
  const scores = capped.map((s, n) => s + slope * (first + n - position));
  const max = scores.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const e = scores.map((s) => Math.exp(s - max));
  const sum = e.reduce((a, b) => a + b, 0);
  const p = e.map((x) => x / sum);
  const dp = keys.map((j) => dotAt(dy, at, v, j, d));
  const mean = p.reduce((a, w, n) => a + w * (dp[n] as number), 0);
  keys.forEach((j, n) => {
    const w = p[n] as number;
    const slack = attrs.softcap > 0 ? 1 - ((capped[n] as number) / attrs.softcap) ** 2 : 1;
    const ds = attrs.scale * w * ((dp[n] as number) - mean) * slack;
    addAt(to.dv, j, w, dy, at, d);
    addAt(to.dk, j, ds, q, at, d);
    addAt(to.dq, at, ds, k, j, d);
  });
}

/** The keys of positions first … last. */
const keysFrom = (first: number, last: number, at: (position: number) => number): number[] =>
  Array.from({ length: Math.max(0, last - first + 1) }, (_, n) => at(first + n));

const attentionGradOp = defineOp({
  kind: 'primitive',
  name: 'attention_grad',
  inputs: ['q', 'k', 'v', 'dy', 'q_starts', 'k_starts', 'slopes?'],
  outputs: ['dq', 'dk', 'dv'],
  infer({ q, k, v, dy, q_starts, k_starts, slopes }, _attrs: AttentionAttrs) {
    const [, heads, d] = q.shape;
    const [, kvHeads] = k.shape;
    expectShape('attention_grad', 'k', k, [undefined, undefined, d]);
    expectShape('attention_grad', 'v', v, k.shape);
    expectShape('attention_grad', 'dy', dy, q.shape);
    expectShape('attention_grad', 'k_starts', k_starts, q_starts.shape);
    if (slopes) expectShape('attention_grad', 'slopes', slopes, [heads]);
    if (typeof heads !== 'number' || typeof kvHeads !== 'number' || heads % kvHeads !== 0)
      throw new ShapeError(
        `attention_grad: expected q of [T, multiple of ${String(kvHeads)}, D], got ${showType(q)}`,
      );
    return { dq: q, dk: k, dv: v };
  },
  gradient: 'none',
  onnx: trainingOnly,
  reference({ q, k, v, dy, q_starts, k_starts, slopes }, attrs, to) {
    const [, heads, d] = q.shape as [number, number, number];
    const kvHeads = k.shape[1] as number;
    for (let b = 0; b + 1 < q_starts.data.length; b++) {
      const [begin, end] = [q_starts.data[b], q_starts.data[b + 1]] as [number, number];
      const [start, stop] = [k_starts.data[b], k_starts.data[b + 1]] as [number, number];
      for (let t = begin; t < end; t++) {
        const position = stop - start - end + t;
        const first = attrs.window > 0 ? Math.max(0, position - attrs.window + 1) : 0;
        const last = attrs.causal ? position : stop - start - 1;
        for (let head = 0; head < heads; head++) {
          const kvHead = Math.floor(head / (heads / kvHeads));
          const keys = keysFrom(first, last, (j) => ((start + j) * kvHeads + kvHead) * d);
          const query = { at: (t * heads + head) * d, head, position, first, keys };
          addQuery({ q, k, v, dy, slopes }, attrs, to, query);
        }
      }
    }
  },
});

/**
 * The gradients of q, k and v from that of {@link attention}'s result, whose operands and attributes these are; dy as q. With P the
 * softmax and dP = dy·vᵀ: dS = P ∘ (dP − Σ P ∘ dP), dq = scale · dS·k, dk = scale · dSᵀ·q, dv = Pᵀ·dy. Slopes get no gradient.
 * Dao et al. 2022, https://arxiv.org/abs/2205.14135
 */
export const attentionGrad = (
  inputs: Parameters<typeof attentionGradOp>[0],
  attrs: AttentionAttrs,
): { readonly dq: Value; readonly dk: Value; readonly dv: Value } => attentionGradOp(inputs, attrs);
