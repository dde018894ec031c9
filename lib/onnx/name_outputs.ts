import { UnsupportedError } from '../errors.js';
import type { OnnxName } from '../ir/onnx_builder.js';
import type { LoweredGraph } from './lower_graph.js';
import type { OnnxModel } from './onnx_model.js';

/**
 * A lowered graph as a model of its own, whose outputs bear the graph's names. Throws UnsupportedError if that needs more than ONNX:
 * an op without a lowering, or state.
 */
export function nameOutputs({ model, rest, fetched, outputs, writes }: LoweredGraph): OnnxModel {
  const [late] = rest;
  if (late) throw new UnsupportedError(`onnx: the op "${late.op}" has no form in ONNX`);
  if (writes.length > 0)
    throw new UnsupportedError(`onnx: state "${writes[0]?.state}" cannot be kept in a model file`);
  const renamed = new Map<OnnxName, string>();
  const copies: OnnxModel['nodes'][number][] = [];
  for (const [name, value] of outputs) {
    const made = fetched.get(value) ?? value.name;
    if (fetched.has(value) && !renamed.has(made)) renamed.set(made, name);
    else copies.push({ operator: 'Identity', domain: '', inputs: [made], outputs: [name], attrs: {} });
  }
  const now = (name: OnnxName): OnnxName => renamed.get(name) ?? name;
  const nodes = [...model.nodes, ...copies].map((node) => ({
    ...node,
    inputs: node.inputs.map(now),
    outputs: node.outputs.map(now),
  }));
  const ports = [...outputs].map(([name, { dtype, shape }]) => ({ name, dtype, shape }));
  return { ...model, nodes, outputs: ports };
}
