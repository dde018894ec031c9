import type { Graph } from '../ir/graph.js';
import { Rewriter } from '../ir/rewrite.js';
import type { Node, Value } from '../ir/value.js';
import { linearCrossEntropy } from '../ops/linear_cross_entropy.js';
import { type Fusion, fuseNodes } from './fuse_nodes.js';
import type { Matcher } from './match.js';

type Inputs = Parameters<typeof linearCrossEntropy>[0];

/** Cross-entropy of a linear that nothing else reads: its logits need not be in memory at once. */
export const fuseCrossEntropy = (graph: Graph): Graph =>
  fuseNodes(graph, ofLinear, (inputs: Inputs, { smoothing }: { readonly smoothing: number }) =>
    linearCrossEntropy(inputs, smoothing),
  );

function ofLinear(m: Matcher, node: Node): Fusion<Inputs, { readonly smoothing: number }> | undefined {
  if (node.op !== 'cross_entropy') return undefined;
  const { labels, logits } = node.inputs;
  const { x, w, bias } = m.soleProducer(logits, 'linear')?.inputs ?? {};
  if (!labels || !x || !w || bias || x.shape.length !== 2) return undefined;
  return { inputs: { x, w, labels }, attrs: { smoothing: node.attrs.smoothing as number } };
}

/** Whether a gradient is that of a loss: of the same operands, computed alike. */
const isOf = (gradient: Node, loss: Node): boolean =>
  (['x', 'w', 'labels'] as const).every((name) => gradient.inputs[name] === loss.inputs[name]) &&
  (['smoothing', 'compute'] as const).every((name) => gradient.attrs[name] === loss.attrs[name]);

/**
 * Takes a `linear_cross_entropy` from its gradient, which computes it on the way: the logits are computed once. What reads the loss
 * moves behind the gradient; where the gradient itself depends on the loss, all stays.
 */
export function shareLoss(graph: Graph): Graph {
  const gradients = graph.nodes.filter(({ op }) => op === 'linear_cross_entropy_grad');
  const found = graph.nodes
    .filter(({ op }) => op === 'linear_cross_entropy')
    .map((loss) => ({ loss, gradient: gradients.find((node) => isOf(node, loss)) }))
    .find(({ gradient }) => gradient !== undefined);
  if (!found?.gradient) return graph;
  const { loss, gradient } = found;
  const late = new Set<Value>(Object.values(loss.outputs));
  const waiting: Node[] = [];
  const r = new Rewriter(graph);
  for (const node of graph.nodes) {
    if (node === loss) continue;
    if (!Object.values(node.inputs).some((v) => late.has(v))) {
      r.copy(node);
      if (node !== gradient) continue;
      r.set(loss.outputs.loss as Value, r.get(gradient.outputs.loss as Value));
      for (const reader of waiting) r.copy(reader);
      late.clear();
      continue;
    }
    if (node === gradient) return graph;
    waiting.push(node);
    for (const v of Object.values(node.outputs)) late.add(v);
  }
  return r.finish();
}
