import type { Graph } from '../ir/graph.js';
import { Rewriter } from '../ir/rewrite.js';
import type { Node, Value } from '../ir/value.js';
import { layerNormQuantized } from '../ops/layer_norm_quantized.js';
import { rmsNormQuantized } from '../ops/rms_norm_quantized.js';
import { Matcher } from './match.js';

function fused(r: Rewriter, norm: Node): Readonly<Record<'q' | 'scale', Value>> {
  const [x, weight] = [norm.inputs.x, norm.inputs.weight].map((v) => r.get(v as Value)) as [Value, Value];
  const eps = Number(norm.attrs.eps);
  if (norm.op === 'rms_norm') return rmsNormQuantized({ x, weight }, eps);
  return layerNormQuantized({ x, weight, bias: r.get(norm.inputs.bias as Value) }, eps);
}

/** A norm that nothing but the quantization of rows reads becomes one step with it. */
export function fuseNormQuantize(graph: Graph): Graph {
  const m = new Matcher(graph);
  const r = new Rewriter(graph);
  for (const node of graph.nodes) {
    const norm =
      node.op === 'quantize_rows' ? m.soleProducer(node.inputs.x, 'rms_norm', 'layer_norm') : undefined;
    if (norm) r.replace(node, fused(r, norm));
    else r.copy(node);
  }
  return r.finish();
}
