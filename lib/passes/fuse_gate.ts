import type { Graph } from '../ir/graph.js';
import type { Node, Value } from '../ir/value.js';
import type { Activation } from '../ops/activation_functions.js';
import { gatedActivation } from '../ops/gated_activation.js';
import { type Fusion, fuseNodes } from './fuse_nodes.js';
import type { Matcher } from './match.js';

interface Gate {
  readonly gate: Value;
  readonly up: Value;
}

/** act(gate) ⊙ up as one op, forward and backward. For graphs that are trained: elsewhere it is the epilogue of the linears. */
export const fuseGate = (graph: Graph): Graph =>
  fuseNodes(graph, gated, ({ gate, up }: Gate, { fn }: { readonly fn: Activation }) =>
    gatedActivation(fn, gate, up),
  );

function gated(m: Matcher, node: Node): Fusion<Gate, { readonly fn: Activation }> | undefined {
  const { a, b } = node.inputs;
  if (node.op !== 'binary' || node.attrs.fn !== 'mul' || !a || !b) return undefined;
  for (const [active, up] of [
    [a, b],
    [b, a],
  ] as const) {
    const activation = m.soleProducer(active, 'activation');
    const gate = activation?.inputs.x;
    if (gate && gate.shape.join() === up.shape.join())
      return { inputs: { gate, up }, attrs: { fn: activation.attrs.fn as Activation } };
  }
  return undefined;
}
