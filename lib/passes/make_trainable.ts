import { applyOp, opNamed } from '../ir/define_op.js';
import type { Graph } from '../ir/graph.js';
import { Rewriter } from '../ir/rewrite.js';
import type { Value } from '../ir/value.js';
import type { Compute } from '../ops/matmul.js';

/** A graph in which parameters have become states of their names, f32, so that an optimizer can write them. */
export interface Trainable {
  readonly graph: Graph;
  /** The states, by name. */
  readonly weights: ReadonlyMap<string, Value>;
}

/** Ops of x [T, K] and a weight w [N, K] that can round both. */
const products: readonly string[] = ['linear', 'linear_cross_entropy'];

/**
 * Makes the parameters that `trains` names trainable; the others stay as they are. Products with trainable weights are computed in
 * `compute`. The first version of a state is its value in this run.
 */
export function makeTrainable(source: Graph, trains: (name: string) => boolean, compute: Compute): Trainable {
  const weights = new Map<string, Value>();
  const r = new Rewriter(source, (param, target) => {
    if (!trains(param.name)) return target.param(param.name, param.dtype, param.shape);
    const state = target.state(param.name, 'f32', param.shape);
    weights.set(param.name, state);
    return state;
  });
  for (const node of source.nodes) {
    const inputs = r.inputs(node);
    const trained = products.includes(node.op) && inputs.w?.kind === 'state' && compute === 'bf16';
    if (trained) r.replace(node, applyOp(opNamed(node.op), inputs, { ...node.attrs, compute }));
    else r.copy(node);
  }
  return { graph: r.finish(), weights };
}
