import { opNamed } from '../ir/define_op.js';
import type { Graph } from '../ir/graph.js';
import type { Value } from '../ir/value.js';

/**
 * Which memory each value lies in: the value that owns it. A view lies in its operand's memory, a new version of a state in the
 * state's, every other output of a node in its own.
 */
export function storageRoots(graph: Graph): Map<Value, Value> {
  const roots = new Map<Value, Value>();
  const rootOf = (value: Value): Value => roots.get(value) ?? value;
  for (const node of graph.nodes) {
    const op = opNamed(node.op);
    for (const [name, value] of Object.entries(node.outputs)) {
      const source = op.kind === 'primitive' && op.view ? 'x' : op.writes?.[name];
      const from = source === undefined ? undefined : node.inputs[source];
      if (from) roots.set(value, rootOf(from));
    }
  }
  return roots;
}
