import { opNamed } from '../ir/define_op.js';
import type { Graph } from '../ir/graph.js';
import { Rewriter } from '../ir/rewrite.js';
import type { Node } from '../ir/value.js';

/** Replaces every composite that `keep` does not claim by its decomposition, until none is left. */
export function decompose(graph: Graph, keep: (node: Node) => boolean): Graph {
  const r = new Rewriter(graph);
  let changed = false;
  for (const node of graph.nodes) {
    const op = opNamed(node.op);
    if (op.kind === 'primitive' || keep(node)) r.copy(node);
    else {
      r.replace(node, op.decompose(r.inputs(node) as never, node.attrs));
      changed = true;
    }
  }
  return changed ? decompose(r.finish(), keep) : graph;
}
