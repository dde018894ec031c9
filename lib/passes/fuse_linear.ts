import type { Graph } from '../ir/graph.js';
import type { Node, Value } from '../ir/value.js';
import type { Activation } from '../ops/activation_functions.js';
import { type FusedLinearInputs, fusedLinear } from '../ops/fused_linear.js';
import { type Fusion as FusionOf, fuseNodes } from './fuse_nodes.js';
import { linearOps, type Matcher, sameOperand } from './match.js';

type Attrs = Parameters<typeof fusedLinear>[1];
type Fusion = FusionOf<FusedLinearInputs, Attrs>;

/** The linear that computes `value` for one reader. Not one whose weight is trained: that is no packed parameter. */
function linearOf(m: Matcher, value: Value | undefined): Node | undefined {
  const node = m.soleProducer(value, ...linearOps);
  return node?.inputs.w?.kind === 'param' ? node : undefined;
}

/** act(x·W0ᵀ) ⊙ x·W1ᵀ. */
function gate(m: Matcher, node: Node): Fusion | undefined {
  if (node.op !== 'binary' || node.attrs.fn !== 'mul') return undefined;
  for (const [a, b] of [
    [node.inputs.a, node.inputs.b],
    [node.inputs.b, node.inputs.a],
  ]) {
    const act = m.soleProducer(a, 'activation');
    const first = linearOf(m, act?.inputs.x);
    const second = linearOf(m, b);
    if (!act || !first || !second || !sameOperand(first, second)) continue;
    return {
      inputs: { ...one(first), w1: second.inputs.w, b1: second.inputs.bias },
      attrs: { combine: 'gate', activation: act.attrs.fn as Activation },
    };
  }
  return undefined;
}

/** act(x·Wᵀ). */
function activated(m: Matcher, node: Node): Fusion | undefined {
  const producer = node.op === 'activation' ? linearOf(m, node.inputs.x) : undefined;
  return (
    producer && { inputs: one(producer), attrs: { combine: 'one', activation: node.attrs.fn as Activation } }
  );
}

const one = (linear: Node): FusedLinearInputs => ({
  x: linear.inputs.x as Value,
  x_scale: linear.inputs.x_scale,
  w0: linear.inputs.w as Value,
  b0: linear.inputs.bias,
});

/** A linear, fused already or not, plus something of the same shape. */
function residual(m: Matcher, node: Node): Fusion | undefined {
  if (node.op !== 'binary' || node.attrs.fn !== 'add') return undefined;
  const { a, b } = node.inputs;
  if (!a || !b || a.shape.join() !== b.shape.join()) return undefined;
  for (const [sum, rest] of [
    [b, a],
    [a, b],
  ] as const) {
    const producer = linearOf(m, sum) ?? m.soleProducer(sum, 'fused_linear');
    if (!producer || producer.inputs.residual) continue;
    if (producer.op !== 'fused_linear')
      return { inputs: { ...one(producer), residual: rest }, attrs: { combine: 'one', activation: 'none' } };
    return {
      inputs: { ...(producer.inputs as unknown as FusedLinearInputs), residual: rest },
      attrs: producer.attrs as unknown as Attrs,
    };
  }
  return undefined;
}

/** Activations, gates and residual sums become part of the linear before them: its epilogue, while the result is in registers. */
export function fuseLinear(graph: Graph): Graph {
  return [gate, activated, residual].reduce((g, match) => fuseNodes(g, match, fusedLinear), graph);
}
