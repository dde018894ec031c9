import { gradients } from '../../lib/autodiff/gradients.js';
import { runReference } from '../../lib/exec/run_reference.js';
import type { RefTensor } from '../../lib/ir/define_op.js';
import type { Graph } from '../../lib/ir/graph.js';
import { type Bindings, evalShape } from '../../lib/ir/shape.js';
import type { Value } from '../../lib/ir/value.js';
import { decompose } from '../../lib/passes/decompose.js';
import { named } from '../random.js';

/** Numbers of a graph's leaves by name. */
export type Leaves = Readonly<Record<string, ArrayLike<number>>>;

/** Computes a graph's outputs in float64, which the reference executor would round to f32. */
export function evaluator(
  graph: Graph,
  bindings: Bindings = {},
): (leaves: Leaves) => Record<string, Float64Array> {
  const primitives = decompose(graph, () => false);
  return (leaves) => {
    const values = new Map<Value, RefTensor>();
    const set = (v: Value, data: ArrayLike<number>): void => {
      values.set(v, { shape: evalShape(v.shape, bindings), data: Float64Array.from(data) });
    };
    for (const table of [primitives.inputs, primitives.params, primitives.states])
      for (const v of table.values()) set(v, leaves[v.name] ?? []);
    for (const v of primitives.constants) set(v, v.data ?? []);
    for (const node of primitives.nodes) runReference(node, values, bindings);
    return Object.fromEntries(
      [...primitives.outputs].map(([name, v]) => [name, (values.get(v) as RefTensor).data]),
    );
  };
}

/** cos 0, cos 1, …: weights under which no two elements of a result count alike. */
export const weights = (size: number): number[] => Array.from({ length: size }, (_, i) => Math.cos(i));

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((sum, v, i) => sum + v * (b[i] as number), 0);

/** As many directions as find any mistake: a wrong number would have to be right in all of them. */
const directions = 4;

/**
 * Slopes of Σ y · cos(index) along random directions of a leaf, y being the output `y` of what `run` computes: by central differences,
 * and as `gradient` has them; left out, it is 0.
 */
export function slopes(
  run: (leaves: Leaves) => Record<string, Float64Array>,
  leaf: string,
  leaves: Leaves,
  gradient: ArrayLike<number> | undefined,
): { readonly numeric: number[]; readonly claimed: number[] } {
  const at = leaves[leaf] ?? [];
  const loss = (direction: readonly number[], by: number): number => {
    const { y = [] } = run({ ...leaves, [leaf]: direction.map((d, i) => (at[i] as number) + by * d) });
    return dot(y, weights(y.length));
  };
  const next = named(leaf);
  const along = Array.from({ length: directions }, () =>
    Array.from({ length: at.length }, () => 2 * next() - 1),
  );
  const step = 1e-5;
  return {
    numeric: along.map((d) => (loss(d, step) - loss(d, -step)) / (2 * step)),
    claimed: along.map((d) => (gradient ? dot(gradient, d) : 0)),
  };
}

/**
 * Adds to a graph the gradients of Σ seed · y as outputs `d <leaf>`, seed being an input like y. A leaf that y does not depend on
 * by any slope gets none.
 */
export function addGradients(graph: Graph, y: Value, leaves: readonly Value[]): void {
  const seed = graph.input('seed', 'f32', y.shape);
  for (const leaf of leaves) {
    try {
      const [gradient] = gradients(y, [leaf], { seed });
      graph.output(`d ${leaf.name}`, gradient as Value);
    } catch (error) {
      if (!String(error).includes('does not depend')) throw error;
    }
  }
}
