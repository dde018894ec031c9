import type { Graph } from './graph.js';
import { showType } from './shape.js';
import type { Node, Value } from './value.js';

const ref = (value: Value): string =>
  value.kind === 'node' ? `%${value.id}` : value.kind === 'const' ? value.name : `@${value.name}`;

function printNode(node: Node): string {
  const outputs = Object.values(node.outputs).map((v) => `%${v.id}: ${showType(v)}`);
  const inputs = Object.entries(node.inputs).map(([name, v]) => `${name}=${ref(v)}`);
  const attrs = Object.entries(node.attrs).map(([name, a]) => `${name}=${JSON.stringify(a)}`);
  return `  ${outputs.join(', ')} = ${node.op}(${[...inputs, ...attrs].join(', ')})`;
}

/** A graph as text, a line a node: for snapshots and for reading. */
export function printGraph(graph: Graph): string {
  const leaves = [...graph.inputs.values(), ...graph.states.values(), ...graph.params.values()];
  return [
    ...leaves.map((v) => `${v.kind} @${v.name}: ${showType(v)}`),
    ...graph.nodes.map(printNode),
    ...[...graph.outputs].map(([name, v]) => `output ${name} = ${ref(v)}`),
  ].join('\n');
}
