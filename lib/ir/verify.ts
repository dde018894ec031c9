import { type AnyOp, type Named, opNamed } from './define_op.js';
import type { Graph } from './graph.js';
import { ShapeError, showType } from './shape.js';
import type { NamedTypes, Node, TensorType, Value } from './value.js';

/**
 * Checks that a graph is legal: every value is defined before it is used, types are what the ops infer, and each version of
 * a state has one writer, with all its readers before. Throws {@link ShapeError} naming the node.
 */
export function verify(graph: Graph): void {
  const defined = new Set<Value>([
    ...graph.inputs.values(),
    ...graph.params.values(),
    ...graph.states.values(),
    ...graph.constants,
  ]);
  const overwritten = new Map<Value, number>();
  graph.nodes.forEach((node, index) => {
    const op = opNamed(node.op);
    for (const [name, value] of Object.entries(node.inputs)) {
      if (!defined.has(value))
        throw new ShapeError(`node ${index} (${node.op}): input "${name}" is used before it is defined`);
      const writer = overwritten.get(value);
      if (writer !== undefined) {
        throw new ShapeError(
          `node ${index} (${node.op}): reads a version of state "${String(value.state)}" that node ${writer} has overwritten`,
        );
      }
    }
    checkTypes(node, op, index);
    for (const source of Object.values(op.writes ?? {})) {
      const version = node.inputs[source as string];
      if (version) overwritten.set(version, index);
    }
    for (const value of Object.values(node.outputs)) defined.add(value);
  });
  for (const [name, value] of graph.outputs) {
    if (!defined.has(value)) throw new ShapeError(`graph output "${name}" is never computed`);
    const writer = overwritten.get(value);
    if (writer !== undefined)
      throw new ShapeError(
        `graph output "${name}" is a version of state "${String(value.state)}" that node ${writer} has overwritten`,
      );
  }
}

function checkTypes(node: Node, op: AnyOp, index: number): void {
  const types = op.infer(
    node.inputs as unknown as Named<readonly string[], TensorType>,
    node.attrs,
  ) as NamedTypes;
  for (const name of op.outputs) {
    const want = types[name];
    const got = node.outputs[name];
    if (!want || !got || showType(want) !== showType(got)) {
      const shown = [want, got].map((t) => (t ? showType(t) : 'nothing'));
      throw new ShapeError(
        `node ${index} (${node.op}): expected output "${name}" to be ${shown[0]}, got ${shown[1]}`,
      );
    }
  }
}
