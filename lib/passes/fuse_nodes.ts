import type { Graph } from '../ir/graph.js';
import { Rewriter } from '../ir/rewrite.js';
import type { Node, Value } from '../ir/value.js';
import { Matcher } from './match.js';

/** What a fused op takes in the place of a node and those before it, in values of the graph that is rewritten. */
export interface Fusion<I, A> {
  readonly inputs: I;
  readonly attrs: A;
}

/** Puts a fused op, which `apply` applies, in the place of each node of one output that `match` has a fusion for; what it drew in is left, unused. */
export function fuseNodes<I, A>(
  graph: Graph,
  match: (m: Matcher, node: Node) => Fusion<I, A> | undefined,
  apply: (inputs: I, attrs: A) => Value,
): Graph {
  const m = new Matcher(graph);
  const fusions = new Map(graph.nodes.map((node) => [node, match(m, node)]));
  if ([...fusions.values()].every((fusion) => fusion === undefined)) return graph;
  const r = new Rewriter(graph);
  for (const node of graph.nodes) {
    const fusion = fusions.get(node);
    if (!fusion) {
      r.copy(node);
      continue;
    }
    const given = Object.entries(fusion.inputs as Readonly<Record<string, Value | undefined>>);
    const inputs = Object.fromEntries(given.map(([name, v]) => [name, v && r.get(v)]));
    const [y] = Object.values(node.outputs) as [Value];
    r.set(y, apply(inputs as I, fusion.attrs));
  }
  return r.finish();
}
