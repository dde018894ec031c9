import { type Named, opNamed, type RefTensor } from '../ir/define_op.js';
import { type Bindings, evalShape, ShapeError } from '../ir/shape.js';
import type { Node, Value } from '../ir/value.js';
import { elementCount, runArray, type Tensor } from '../tensor.js';

/** Runs one primitive by its reference; `values` has its operands and gets its outputs. */
export function runReference(
  node: Node,
  values: Map<Value, RefTensor>,
  bindings: Bindings,
): Readonly<Record<string, RefTensor>> {
  const op = opNamed(node.op);
  if (op.kind !== 'primitive') throw new ShapeError(`reference: ${op.name} was not decomposed`);
  const inputs = Object.fromEntries(
    Object.entries(node.inputs).map(([name, v]) => [name, values.get(v) as RefTensor]),
  );
  const outputs: Record<string, RefTensor> = {};
  for (const [name, value] of Object.entries(node.outputs)) {
    const shape = evalShape(value.shape, bindings);
    const before = op.writes?.[name];
    const data = before ? (inputs[before] as RefTensor).data.slice() : new Float64Array(elementCount(shape));
    outputs[name] = { shape, data };
    values.set(value, outputs[name]);
  }
  op.reference(inputs as unknown as Named<readonly string[], RefTensor>, node.attrs, outputs);
  return outputs;
}

/** A value of the reference as one that leaves the engine. */
export function toTensor(value: Value, t: RefTensor): Tensor {
  const data = runArray(value.dtype, t.data.length);
  data.set(t.data);
  return { dtype: value.dtype, shape: [...t.shape], data };
}
