import type { Graph } from '../ir/graph.js';
import { Rewriter } from '../ir/rewrite.js';
import type { Node, Value } from '../ir/value.js';
import { fusedLinear } from '../ops/fused_linear.js';
import { ropeKvWrite } from '../ops/rope_kv_write.js';
import { linearOps, Matcher, sameOperand } from './match.js';

/** One of q, k, v traced back to its projection. */
interface Branch {
  readonly projection: Value; // [T, heads · D]
  readonly rope: Node | undefined;
  readonly norm: Node | undefined;
}

function trace(m: Matcher, value: Value | undefined): Branch | undefined {
  const rope = m.producer(value, 'rope');
  const norm = m.producer(rope?.inputs.x ?? value, 'rms_norm');
  const reshape = m.producer(norm?.inputs.x ?? rope?.inputs.x ?? value, 'reshape');
  const projection = reshape?.inputs.x;
  return projection?.shape.length === 2 ? { projection, rope, norm } : undefined;
}

/** Whether q and k are treated alike, and v not at all, as rope_kv_write does. */
function alike(q: Branch, k: Branch, v: Branch): boolean {
  const [a, b] = [q.rope, k.rope];
  const sameRope =
    a?.inputs.cos === b?.inputs.cos &&
    a?.inputs.sin === b?.inputs.sin &&
    a?.attrs.interleaved === b?.attrs.interleaved;
  return sameRope && q.norm?.attrs.eps === k.norm?.attrs.eps && !v.rope && !v.norm;
}

/** The projections side by side, if they are slices of one value in that order, and all of it. */
function sliced(m: Matcher, branches: readonly Branch[]): Value | undefined {
  const slices = branches.map((b) => m.producer(b.projection, 'slice'));
  const whole = slices[0]?.inputs.x;
  let at = 0;
  for (const s of slices) {
    if (!s || s.inputs.x !== whole || s.attrs.axis !== 1 || s.attrs.begin !== at) return undefined;
    at = Number(s.attrs.end);
  }
  return at === whole?.shape[1] ? whole : undefined;
}

/** The projections as one linear of their weights, if they are linears of one value. */
function joined(m: Matcher, r: Rewriter, branches: readonly Branch[]): Value | undefined {
  const linears = branches.map((b) => m.producer(b.projection, ...linearOps));
  const [first, second, third] = linears;
  if (!first || !second || !linears.every((l) => l && sameOperand(l, first))) return undefined;
  const get = (value: Value | undefined): Value | undefined => value && r.get(value);
  return fusedLinear(
    {
      x: r.get(first.inputs.x as Value),
      x_scale: get(first.inputs.x_scale),
      w0: r.get(first.inputs.w as Value),
      w1: get(second.inputs.w),
      w2: get(third?.inputs.w),
      b0: get(first.inputs.bias),
      b1: get(second.inputs.bias),
      b2: get(third?.inputs.bias),
    },
    { combine: 'concat', activation: 'none' },
  );
}

/**
 * What lies between a layer's input and its attention becomes two steps: one linear for q, k and v, and one op that norms, rotates
 * and writes the cache. Of keys and values that an encoder keeps, and no query reads in this graph, likewise. Leaves what it does
 * not recognize alone.
 */
export function fuseQkv(graph: Graph): Graph {
  const m = new Matcher(graph);
  const r = new Rewriter(graph);
  const queries = new Map<Node, Value>();
  for (const node of graph.nodes) {
    const write = node.op === 'paged_attention' ? m.producer(node.inputs.k_cache, 'kv_write') : undefined;
    // The first to read what was written is the layer's own attention; another, of a decoder, reads what its encoder kept.
    if (write && write.outputs.v_cache === node.inputs.v_cache && !queries.has(write))
      queries.set(write, node.inputs.q as Value);
  }
  const replaced = new Set<Value>();
  for (const node of graph.nodes) {
    const query = queries.get(node);
    if (node.op === 'kv_write' && fuseWrite(m, r, node, query)) {
      if (query) replaced.add(query);
    } else if (!Object.values(node.outputs).some((v) => replaced.has(v))) r.copy(node);
  }
  return r.finish();
}

function fuseWrite(m: Matcher, r: Rewriter, write: Node, query: Value | undefined): boolean {
  const [k, v] = [write.inputs.k, write.inputs.v].map((value) => trace(m, value));
  const q = query ? trace(m, query) : k;
  if (!q || !k || !v || !alike(q, k, v)) return false;
  const branches = query ? [q, k, v] : [k, v];
  const whole = sliced(m, branches);
  const qkv = whole ? r.get(whole) : joined(m, r, branches);
  if (!qkv) return false;
  const get = (value: Value | undefined): Value | undefined => value && r.get(value);
  const inputs = r.inputs(write);
  const fused = ropeKvWrite(
    {
      qkv,
      k_cache: inputs.k_cache as Value,
      v_cache: inputs.v_cache as Value,
      slots: inputs.slots as Value,
      cos: get(k.rope?.inputs.cos),
      sin: get(k.rope?.inputs.sin),
      q_norm: query && get(q.norm?.inputs.weight),
      k_norm: get(k.norm?.inputs.weight),
    },
    {
      heads: Number(query?.shape[1] ?? 0),
      interleaved: k.rope?.attrs.interleaved === true,
      eps: Number(k.norm?.attrs.eps ?? 0),
    },
  );
  r.replace(write, fused);
  if (query) r.set(query, fused.q);
  return true;
}
