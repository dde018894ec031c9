import { gradients } from '../../lib/autodiff/gradients.js';
import { runReference } from '../../lib/exec/run_reference.js';
import type { RefTensor } from '../../lib/ir/define_op.js';
import type { Graph } from '../../lib/ir/graph.js';
import { type Bindings, evalShape } from '../../lib/ir/shape.js';
import type { Value } from '../../lib/ir/value.js';
import { decompose } from '../../lib/passes/decompose.js';

/** Numbers of a graph's leaves by name. */
export type Leaves = Readonly<Record<string, readonly number[]>>;

/** A graph's outputs in float64, which the reference executor would round to f32. */
export function evaluate(graph: Graph, leaves: Leaves, bindings: Bindings): Record<string, Float64Array> {
  const primitives = decompose(graph, () => false);
  const values = new Map<Value, RefTensor>();
  const set = (v: Value, data: readonly number[]): void => {
    values.set(v, { shape: evalShape(v.shape, bindings), data: Float64Array.from(data) });
  };
  for (const table of [primitives.inputs, primitives.params, primitives.states])
    for (const v of table.values()) set(v, leaves[v.name] ?? []);
  for (const v of primitives.constants) set(v, v.data ?? []);
  for (const node of primitives.nodes) runReference(node, values, bindings);
  return Object.fromEntries(
    [...primitives.outputs].map(([name, v]) => [name, (values.get(v) as RefTensor).data]),
  );
}

/** cos 0, cos 1, …: weights under which no two elements of a result count alike. */
export const weights = (size: number): number[] => Array.from({ length: size }, (_, i) => Math.cos(i));

/** What the gradient of Σ output · cos(index) should be with respect to each number of a leaf: central differences. */
export function numericGradient(
  graph: Graph,
  output: string,
  leaf: string,
  leaves: Leaves,
  bindings: Bindings,
): number[] {
  const numbers = leaves[leaf] ?? [];
  const loss = (i: number, x: number): number => {
    const moved = { ...leaves, [leaf]: numbers.with(i, x) };
    const y = evaluate(graph, moved, bindings)[output] ?? new Float64Array();
    return y.reduce((sum, v, at) => sum + v * Math.cos(at), 0);
  };
  return numbers.map((x, i) => {
    const step = 1e-5;
    return (loss(i, x + step) - loss(i, x - step)) / (2 * step);
  });
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
