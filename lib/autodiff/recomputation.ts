import { opNamed } from '../ir/define_op.js';
import { graphOf } from '../ir/graph.js';
import type { Node, Value } from '../ir/value.js';

/**
 * Computes values of the forward pass a second time, when they are asked for, from those that are kept. What an op gives that
 * writes a state is kept as well: it must not write twice.
 */
export class Recomputation {
  readonly #producers = new Map<Value, Node>();
  readonly #again = new Map<Value, Value>();

  constructor(nodes: readonly Node[], keep: Iterable<Value>) {
    for (const node of nodes) {
      if (opNamed(node.op).writes) continue;
      for (const value of Object.values(node.outputs)) this.#producers.set(value, node);
    }
    for (const value of keep) this.#again.set(value, value);
  }

  /** `value` itself where it is kept or a leaf, else what its node gives once more. */
  of(value: Value): Value {
    const known = this.#again.get(value);
    if (known) return known;
    const node = this.#producers.get(value);
    if (!node) return value;
    const inputs: Record<string, Value> = {};
    for (const [name, input] of Object.entries(node.inputs)) inputs[name] = this.of(input);
    const outputs = graphOf(value).append(node.op, inputs, node.attrs, node.outputs);
    for (const [name, output] of Object.entries(node.outputs))
      this.#again.set(output, outputs[name] as Value);
    return this.#again.get(value) as Value;
  }
}
