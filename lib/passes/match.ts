import type { Graph } from '../ir/graph.js';
import { producersOf, usersOf } from '../ir/rewrite.js';
import type { Node, Value } from '../ir/value.js';

/** The ops that multiply rows with a weight [N, K]. */
export const linearOps: readonly string[] = ['linear', 'quantized_linear'];

/** Whether two of {@link linearOps} multiply the same rows with weights of one type. */
export const sameOperand = (a: Node | undefined, b: Node | undefined): boolean =>
  a?.inputs.x === b?.inputs.x &&
  a?.inputs.x_scale === b?.inputs.x_scale &&
  a?.inputs.w?.dtype === b?.inputs.w?.dtype;

/** Looks at a graph from its values: who computes one, and whether only one node reads it. */
export class Matcher {
  readonly #producers: Map<Value, Node>;
  readonly #users: Map<Value, Node[]>;
  readonly #outputs: Set<Value>;

  constructor(graph: Graph) {
    this.#producers = producersOf(graph);
    this.#users = usersOf(graph);
    this.#outputs = new Set(graph.outputs.values());
  }

  /** The node that computes `value`, if it is an application of `op`. */
  producer(value: Value | undefined, ...ops: readonly string[]): Node | undefined {
    const node = value && this.#producers.get(value);
    return node && ops.includes(node.op) ? node : undefined;
  }

  /** As {@link producer}, if nothing else reads the value. */
  soleProducer(value: Value | undefined, ...ops: readonly string[]): Node | undefined {
    const node = this.producer(value, ...ops);
    const once = value && !this.#outputs.has(value) && this.#users.get(value)?.length === 1;
    return once ? node : undefined;
  }
}
