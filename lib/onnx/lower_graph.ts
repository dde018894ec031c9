import { UnsupportedError } from '../errors.js';
import { type AnyOp, opNamed } from '../ir/define_op.js';
import type { Graph } from '../ir/graph.js';
import type { OnnxName, OnnxValue } from '../ir/onnx_builder.js';
import type { Node, Value } from '../ir/value.js';
import { decompose } from '../passes/decompose.js';
import { GraphBuilder, type StoredParam } from './graph_builder.js';
import type { OnnxModel, OnnxPort } from './onnx_model.js';

/** A graph as ONNX can run it. */
export interface LoweredGraph {
  readonly model: OnnxModel;
  /** The ops that ONNX has no form of. They come after all others and run by their reference. */
  readonly rest: readonly Node[];
  /** Outputs of the ONNX graph that `rest` or the graph's outputs are made of. */
  readonly fetched: ReadonlyMap<Value, OnnxName>;
  /** The graph's outputs. */
  readonly outputs: ReadonlyMap<string, Value>;
  /** Outputs of the ONNX graph that hold rows to be written to a state, in order. */
  readonly writes: readonly { readonly state: string; readonly rows: OnnxName; readonly values: OnnxName }[];
}

export interface LowerOptions {
  /** Where a parameter's numbers are. */
  readonly param: (value: Value) => StoredParam;
}

const isExcluded = (op: AnyOp): boolean => op.onnx !== undefined && 'excluded' in op.onnx;

/**
 * Lowers a graph to ONNX operators: composites that have no lowering of their own are decomposed first. The result depends on
 * nothing but the part of the graph that ONNX runs, so that graphs that differ in the rest alone can share a session.
 * Throws UnsupportedError if an op that ONNX has no form of comes before one that it does.
 */
export function lowerGraph(graph: Graph, options: LowerOptions): LoweredGraph {
  const simple = decompose(graph, ({ op }) => opNamed(op).onnx !== undefined);
  const builder = new GraphBuilder(simple, options.param);
  const names = new Map<Value, OnnxName>();
  const rest: Node[] = [];
  const late = new Set<Value>();
  const nameOf = (value: Value): OnnxName => names.get(value) ?? builder.leaf(value);
  for (const node of simple.nodes) {
    const op = opNamed(node.op);
    const waits = Object.values(node.inputs).some((value) => late.has(value));
    if (isExcluded(op)) {
      rest.push(node);
      for (const value of Object.values(node.outputs)) late.add(value);
    } else if (waits) {
      const before = rest.map(({ op: name }) => name).join(', ');
      throw new UnsupportedError(`onnx: "${node.op}" comes after ${before}, which ONNX has no form of`);
    } else lowerNode(node, op, builder, nameOf, names);
  }
  const needed = [...rest.flatMap((node) => Object.values(node.inputs)), ...simple.outputs.values()];
  const computed = [...new Set(needed)].filter((value) => value.kind !== 'input' && !late.has(value));
  return finish(builder, { rest, outputs: simple.outputs, computed, nameOf });
}

function lowerNode(
  node: Node,
  op: AnyOp,
  onnx: GraphBuilder,
  nameOf: (value: Value) => OnnxName,
  names: Map<Value, OnnxName>,
): void {
  if (typeof op.onnx !== 'function') throw new UnsupportedError(`onnx: no lowering for the op "${op.name}"`);
  const inputs: Record<string, OnnxValue> = {};
  for (const [name, value] of Object.entries(node.inputs))
    inputs[name] = { id: nameOf(value), dtype: value.dtype, shape: value.shape };
  const made = op.onnx({ inputs, attrs: node.attrs, outputs: node.outputs, onnx });
  for (const [name, value] of Object.entries(node.outputs)) names.set(value, made[name] as OnnxName);
}

function finish(
  builder: GraphBuilder,
  graph: {
    readonly rest: readonly Node[];
    readonly outputs: ReadonlyMap<string, Value>;
    readonly computed: readonly Value[];
    readonly nameOf: (value: Value) => OnnxName;
  },
): LoweredGraph {
  const ports = new Map<OnnxName, OnnxPort>();
  const made = new Set(builder.nodes.flatMap((node) => node.outputs));
  // An output is something that a node computes.
  const output = (name: OnnxName, { dtype, shape }: Omit<OnnxPort, 'name'>): OnnxName => {
    const own = made.has(name) ? name : builder.op('Identity', [name]);
    made.add(own);
    ports.set(own, { name: own, dtype, shape });
    return own;
  };
  const fetched = new Map(graph.computed.map((value) => [value, output(graph.nameOf(value), value)]));
  const writes = [...builder.states.writes].flatMap(([state, list]) =>
    list.map((write) => ({
      state,
      rows: output(write.rows, { dtype: 'i32', shape: [undefined] }),
      values: output(write.values, { dtype: write.dtype, shape: [undefined, ...write.row] }),
    })),
  );
  const { nodes, initializers, inputs } = builder;
  const model = { nodes, initializers, inputs, outputs: [...ports.values()] };
  return { model, rest: graph.rest, fetched, outputs: graph.outputs, writes };
}
