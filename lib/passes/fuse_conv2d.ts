import type { Graph } from '../ir/graph.js';
import type { Node } from '../ir/value.js';
import { type FusedConv2dInputs, fusedConv2d } from '../ops/fused_conv2d.js';
import { type Fusion as FusionOf, fuseNodes } from './fuse_nodes.js';
import type { Matcher } from './match.js';

type Attrs = Parameters<typeof fusedConv2d>[1];
type Fusion = FusionOf<FusedConv2dInputs, Attrs>;

/** A convolution plus something of the same shape. */
function residual(m: Matcher, node: Node): Fusion | undefined {
  const { a, b } = node.inputs;
  if (node.op !== 'binary' || node.attrs.fn !== 'add' || a?.shape.join() !== b?.shape.join())
    return undefined;
  for (const [sum, rest] of [
    [a, b],
    [b, a],
  ]) {
    const conv = m.soleProducer(sum, 'conv2d');
    if (conv && rest)
      return {
        inputs: { ...(conv.inputs as unknown as FusedConv2dInputs), residual: rest },
        attrs: { ...conv.attrs, activation: 'none' } as unknown as Attrs,
      };
  }
  return undefined;
}

/** An activation of a convolution, or of its sum with something. */
function activated(m: Matcher, node: Node): Fusion | undefined {
  const conv = node.op === 'activation' ? m.soleProducer(node.inputs.x, 'conv2d', 'fused_conv2d') : undefined;
  if (!conv || (conv.attrs.activation ?? 'none') !== 'none') return undefined;
  return {
    inputs: conv.inputs as unknown as FusedConv2dInputs,
    attrs: { ...conv.attrs, activation: node.attrs.fn } as unknown as Attrs,
  };
}

/** Sums and activations become part of the convolution before them: its epilogue, while the result is in the cache. */
export function fuseConv2d(graph: Graph): Graph {
  return [residual, activated].reduce((g, match) => fuseNodes(g, match, fusedConv2d), graph);
}
