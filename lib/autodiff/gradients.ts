import { type AnyOp, opNamed } from '../ir/define_op.js';
import { graphOf } from '../ir/graph.js';
import { ShapeError, showType } from '../ir/shape.js';
import type { NamedValues, Node, Value } from '../ir/value.js';
import { add } from '../ops/binary.js';
import { Recomputation } from './recomputation.js';

export interface GradientOptions {
  /** Gradient of y, of y's shape. Left out: ones, so that y's elements count as summed; y must then have a fixed shape. */
  readonly seed?: Value;
  /**
   * Values of the forward pass that stay in memory until the backward pass. What lies between them is computed again when it is
   * needed. Left out: everything stays. Chen et al. 2016, https://arxiv.org/abs/1604.06174
   */
  readonly keep?: Iterable<Value>;
  /**
   * Called with each gradient as soon as it is whole, while the nodes of the others are still to come: what takes it up here lets its
   * memory go early.
   */
  readonly onGradient?: (value: Value, gradient: Value) => void;
}

/**
 * Reverse mode: appends to y's graph the gradients of Σ seed · y and returns one for each value of `wrt`, of its shape.
 * Throws {@link ShapeError} if y does not depend on one of them, or if an op on the way has no gradient or writes a state.
 */
export function gradients(y: Value, wrt: readonly Value[], options: GradientOptions = {}): Value[] {
  const graph = graphOf(y);
  const forward = [...graph.nodes];
  const sweep = new Sweep(wrt, forward, options.keep && new Recomputation(forward, options.keep));
  sweep.add(y, options.seed ?? ones(y));
  const { onGradient } = options;
  const firstUses = onGradient && firstUsesOf(wrt, forward);
  sweep.run(forward, (node) => {
    for (const value of firstUses?.get(node) ?? []) {
      const gradient = sweep.of(value);
      if (gradient) onGradient?.(value, gradient);
    }
  });
  return wrt.map((value) => {
    const gradient = sweep.of(value);
    if (!gradient)
      throw new ShapeError(`gradients: ${y.name} does not depend on ${value.kind} "${value.name}"`);
    return gradient;
  });
}

/** The values that each node is the first to read: going backwards, nothing is added to their gradients after it. */
function firstUsesOf(values: readonly Value[], nodes: readonly Node[]): Map<Node, Value[]> {
  const left = new Set(values);
  const uses = new Map<Node, Value[]>();
  for (const node of nodes) {
    const first = Object.values(node.inputs).filter((value) => left.delete(value));
    if (first.length > 0) uses.set(node, first);
  }
  return uses;
}

const noGradient = (op: AnyOp, wanted: readonly string[]): ShapeError =>
  new ShapeError(
    `gradients: "${op.name}" has no gradient, and its ${wanted.join(', ')} depends on what is differentiated: ` +
      'ask for gradients of values that reach y by other ways alone',
  );

function ones(y: Value): Value {
  const shape = y.shape.map((dim) => {
    if (typeof dim === 'number') return dim;
    throw new ShapeError(`gradients: ${showType(y)} has no fixed shape: expected a seed`);
  });
  const size = shape.reduce((n, d) => n * d, 1);
  return graphOf(y).constant('f32', shape, new Array<number>(size).fill(1));
}

/** One walk backwards over nodes that lie in a row. */
class Sweep {
  readonly #recomputation: Recomputation | undefined;
  /** Values that depend on what is asked for. */
  readonly #active: Set<Value>;
  readonly #adjoints = new Map<Value, Value>();

  constructor(wrt: Iterable<Value>, nodes: readonly Node[], recomputation?: Recomputation) {
    this.#recomputation = recomputation;
    this.#active = new Set(wrt);
    for (const node of nodes) {
      if (!Object.values(node.inputs).some((v) => this.#active.has(v))) continue;
      for (const value of Object.values(node.outputs)) this.#active.add(value);
    }
  }

  of(value: Value): Value | undefined {
    return this.#adjoints.get(value);
  }

  add(value: Value, gradient: Value): void {
    if (showType(gradient) !== showType({ dtype: 'f32', shape: value.shape }))
      throw new ShapeError(
        `gradients: expected a gradient of ${value.name} like ${showType(value)}, got ${showType(gradient)}`,
      );
    const known = this.#adjoints.get(value);
    this.#adjoints.set(value, known ? add(known, gradient) : gradient);
  }

  run(nodes: readonly Node[], passed: (node: Node) => void = () => {}): void {
    for (const node of nodes.toReversed()) {
      this.#pass(node);
      passed(node);
    }
  }

  #pass(node: Node): void {
    const reached = Object.entries(node.outputs).filter(([, v]) => this.#adjoints.has(v));
    const wanted = Object.entries(node.inputs).filter(([, v]) => this.#active.has(v));
    if (reached.length === 0 || wanted.length === 0) return;
    const found = this.#step(
      node,
      Object.fromEntries(reached.map(([name, v]) => [name, this.#adjoints.get(v) as Value])),
      wanted.map(([name]) => name),
    );
    for (const [name, value] of wanted) {
      const gradient = found[name];
      if (gradient) this.add(value, gradient);
    }
  }

  /** Gradients of a node's inputs, by name, from those of its outputs. */
  #step(
    node: Node,
    gradients: NamedValues,
    wanted: readonly string[],
  ): Readonly<Partial<Record<string, Value>>> {
    const op = opNamed(node.op);
    if (op.writes)
      throw new ShapeError(
        `gradients: "${op.name}" writes a state inside what is differentiated: write what it gives after the gradients`,
      );
    const inputs = this.#again(node.inputs);
    if (op.gradient === undefined) return throughDecomposition(op, inputs, node, gradients, wanted);
    if (typeof op.gradient !== 'function') throw noGradient(op, wanted);
    return op.gradient({
      inputs: inputs as never,
      attrs: node.attrs,
      outputs: this.#again(node.outputs),
      gradients,
    });
  }

  #again(values: NamedValues): NamedValues {
    const recomputation = this.#recomputation;
    if (!recomputation) return values;
    return Object.fromEntries(Object.entries(values).map(([name, v]) => [name, recomputation.of(v)]));
  }
}

/** A composite without a gradient of its own: its simpler ops are differentiated. */
function throughDecomposition(
  op: AnyOp,
  inputs: NamedValues,
  node: Node,
  gradients: NamedValues,
  wanted: readonly string[],
): Readonly<Partial<Record<string, Value>>> {
  if (op.kind !== 'composite') throw noGradient(op, wanted);
  const [first] = Object.values(inputs) as [Value];
  const { nodes } = graphOf(first);
  const before = nodes.length;
  const outputs = op.decompose(inputs as never, node.attrs);
  const simpler = nodes.slice(before);
  const inner = new Sweep(
    wanted.map((name) => inputs[name] as Value),
    simpler,
  );
  for (const [name, gradient] of Object.entries(gradients)) inner.add(outputs[name] as Value, gradient);
  inner.run(simpler);
  // An operand under several names has the gradient of all of them at once: it counts under the first.
  const found = new Map(wanted.toReversed().map((name) => [inputs[name] as Value, name]));
  return Object.fromEntries([...found].map(([value, name]) => [name, inner.of(value)]));
}
