import { opNamed } from '../ir/define_op.js';
import type { Graph } from '../ir/graph.js';
import { Rewriter } from '../ir/rewrite.js';
import type { Node, Value } from '../ir/value.js';

/** Drops the nodes that neither an output of the graph nor a state needs. */
export function eliminateDead(graph: Graph): Graph {
  const needed = new Set<Value>(graph.outputs.values());
  const live = new Set<Node>();
  for (const node of [...graph.nodes].reverse()) {
    const writes = Object.keys(opNamed(node.op).writes ?? {}).length > 0;
    if (!writes && !Object.values(node.outputs).some((v) => needed.has(v))) continue;
    live.add(node);
    for (const v of Object.values(node.inputs)) needed.add(v);
  }
  if (live.size === graph.nodes.length) return graph;
  const r = new Rewriter(graph);
  for (const node of graph.nodes) if (live.has(node)) r.copy(node);
  return r.finish();
}
