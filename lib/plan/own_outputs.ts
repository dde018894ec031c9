import type { Graph } from '../ir/graph.js';
import { Rewriter } from '../ir/rewrite.js';
import { transpose } from '../ops/transpose.js';
import { storageRoots } from './storage.js';

/**
 * A graph whose outputs have memory of their own: one that lies in a leaf's memory, or in another output's, becomes a copy. Not a
 * state, whose layout belongs to the executor.
 */
export function ownOutputs(graph: Graph): Graph {
  const roots = storageRoots(graph);
  const taken = new Set<unknown>();
  const shared = new Set<string>();
  for (const [name, value] of graph.outputs) {
    const root = roots.get(value) ?? value;
    if (root.kind !== 'state' && (root.kind !== 'node' || taken.has(root))) shared.add(name);
    taken.add(root);
  }
  if (shared.size === 0) return graph;
  const r = new Rewriter(graph);
  for (const node of graph.nodes) r.copy(node);
  for (const [name, value] of graph.outputs) {
    const v = r.get(value);
    r.target.output(
      name,
      shared.has(name)
        ? transpose(
            v,
            v.shape.map((_, i) => i),
          )
        : v,
    );
  }
  return r.target;
}
