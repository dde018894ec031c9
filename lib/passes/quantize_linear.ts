import type { Graph } from '../ir/graph.js';
import { Rewriter, usersOf } from '../ir/rewrite.js';
import type { Node, Value } from '../ir/value.js';
import { quantizeRows } from '../ops/quantize_rows.js';
import { quantizedLinear } from '../ops/quantized_linear.js';

/** Whether a node reads `value` as q8 weights can be read: as a linear's weight, or as an embedding's table. */
const readsWeight = (node: Node, value: Value): boolean =>
  (node.op === 'linear' && node.inputs.w === value && node.inputs.x !== value) ||
  (node.op === 'embedding' && node.inputs.w === value);

/**
 * Makes the parameters that `chosen` names q8, and the linears that read them quantized ones over bytes; linears of one input share
 * its bytes. A parameter that anything but linears and embeddings reads stays as it is.
 */
export function quantizeLinear(graph: Graph, chosen: (name: string) => boolean): Graph {
  const users = usersOf(graph);
  const outputs = new Set(graph.outputs.values());
  const quantized = new Set(
    [...graph.params.values()].filter((p) => {
      const readers = users.get(p) ?? [];
      const weights = readers.length > 0 && readers.every((node) => readsWeight(node, p));
      return chosen(p.name) && p.shape.length === 2 && weights && !outputs.has(p);
    }),
  );
  if (quantized.size === 0) return graph;
  const r = new Rewriter(graph, (param, target) =>
    target.param(param.name, quantized.has(param) ? 'q8' : param.dtype, param.shape),
  );
  const rows = new Map<Value, ReturnType<typeof quantizeRows>>();
  for (const node of graph.nodes) {
    const { x, w, bias } = node.inputs;
    if (node.op !== 'linear' || !x || !w || !quantized.has(w)) {
      r.copy(node);
      continue;
    }
    const bytes = rows.get(x) ?? quantizeRows(r.get(x));
    rows.set(x, bytes);
    r.set(node.outputs.y as Value, quantizedLinear(bytes.q, bytes.scale, r.get(w), bias && r.get(bias)));
  }
  return r.finish();
}
