import { opNamed } from './define_op.js';
import { Graph } from './graph.js';
import type { NamedValues, Node, Value } from './value.js';

/** Copies leaves and nodes of a graph into a new one; {@link get} says what a value has become. */
export class Rewriter {
  readonly source: Graph;
  readonly target: Graph = new Graph();
  readonly #map = new Map<Value, Value>();

  /** `leaf` says what a parameter becomes in the new graph. */
  constructor(
    source: Graph,
    leaf: (param: Value, target: Graph) => Value = (param, target) =>
      target.param(param.name, param.dtype, param.shape),
  ) {
    this.source = source;
    for (const v of source.inputs.values()) this.set(v, this.target.input(v.name, v.dtype, v.shape));
    for (const v of source.params.values()) this.set(v, leaf(v, this.target));
    for (const v of source.states.values()) this.set(v, this.target.state(v.name, v.dtype, v.shape));
    for (const v of source.constants)
      this.set(v, this.target.constant(v.dtype, v.shape as number[], v.data ?? []));
  }

  /** What `value` of the source has become in the target. */
  get(value: Value): Value {
    const mapped = this.#map.get(value);
    if (!mapped) throw new Error(`rewrite: ${value.name} (#${value.id}) was dropped but is still used`);
    return mapped;
  }

  set(from: Value, to: Value): void {
    this.#map.set(from, to);
  }

  inputs(node: Node): NamedValues {
    const inputs: Record<string, Value> = {};
    for (const name in node.inputs) inputs[name] = this.get(node.inputs[name] as Value);
    return inputs;
  }

  /** Says what a node's outputs have become. */
  replace(node: Node, outputs: NamedValues): void {
    for (const name in node.outputs) {
      const to = outputs[name];
      if (to) this.set(node.outputs[name] as Value, to);
    }
  }

  /** The node again. Its inputs have the types that they had, hence so have its outputs. */
  copy(node: Node): void {
    const { op, attrs, outputs } = node;
    this.replace(node, this.target.append(op, this.inputs(node), attrs, outputs, opNamed(op).writes));
  }

  /** Declares the outputs and returns the new graph. */
  finish(): Graph {
    for (const [name, value] of this.source.outputs) this.target.output(name, this.get(value));
    return this.target;
  }
}

/** The nodes that read each value. */
export function usersOf(graph: Graph): Map<Value, Node[]> {
  const users = new Map<Value, Node[]>();
  for (const node of graph.nodes) {
    for (const value of Object.values(node.inputs)) {
      const known = users.get(value);
      if (known) known.push(node);
      else users.set(value, [node]);
    }
  }
  return users;
}

/** The node that computes each value. */
export function producersOf(graph: Graph): Map<Value, Node> {
  const producers = new Map<Value, Node>();
  for (const node of graph.nodes) for (const value of Object.values(node.outputs)) producers.set(value, node);
  return producers;
}
