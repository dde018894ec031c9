import type { DType } from '../dtype.js';
import { type Shape, ShapeError, sizeOf } from './shape.js';
import type { Attrs, NamedTypes, NamedValues, Node, Value, ValueKind } from './value.js';

/** A value that knows its graph, which nobody sees who looks at its fields. */
class OwnedValue implements Value {
  readonly id: number;
  readonly kind: ValueKind;
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  readonly state?: string | undefined;
  readonly data?: readonly number[] | undefined;
  readonly #graph: Graph;

  constructor(graph: Graph, id: number, fields: Omit<Value, 'id'>) {
    this.id = id;
    this.kind = fields.kind;
    this.name = fields.name;
    this.dtype = fields.dtype;
    this.shape = fields.shape;
    this.state = fields.state;
    this.data = fields.data;
    this.#graph = graph;
  }

  static graphOf(value: Value): Graph | undefined {
    return #graph in value ? value.#graph : undefined;
  }
}

/** The graph that `value` belongs to. */
export function graphOf(value: Value): Graph {
  const graph = OwnedValue.graphOf(value);
  if (!graph) throw new ShapeError(`value ${value.name} (#${value.id}) belongs to no graph`);
  return graph;
}

/** A program in SSA form: leaves, nodes in an order that can be executed, and named outputs. */
export class Graph {
  readonly nodes: Node[] = [];
  readonly inputs: Map<string, Value> = new Map();
  readonly params: Map<string, Value> = new Map();
  readonly states: Map<string, Value> = new Map();
  readonly constants: Value[] = [];
  readonly outputs: Map<string, Value> = new Map();
  #nextId = 0;

  /** A value fed at each run. Asking twice for a name gives the same value. */
  input(name: string, dtype: DType, shape: Shape): Value {
    return this.#leaf(this.inputs, 'input', name, dtype, shape);
  }

  /** A checkpoint tensor. Tied weights are one name, hence one value. */
  param(name: string, dtype: DType, shape: Shape): Value {
    return this.#leaf(this.params, 'param', name, dtype, shape);
  }

  /** Version 0 of memory that outlives a run. */
  state(name: string, dtype: DType, shape: Shape): Value {
    return this.#leaf(this.states, 'state', name, dtype, shape);
  }

  /** Numbers known now, row-major. */
  constant(dtype: DType, shape: readonly number[], data: readonly number[]): Value {
    if (sizeOf(shape) !== data.length) {
      throw new ShapeError(
        `constant: expected ${String(sizeOf(shape))} numbers for [${shape.join(',')}], got ${data.length}`,
      );
    }
    const value = this.#value({ kind: 'const', name: `const${this.constants.length}`, dtype, shape, data });
    this.constants.push(value);
    return value;
  }

  /** Declares what a run returns under `name`. */
  output(name: string, value: Value): void {
    if (this.outputs.has(name)) throw new ShapeError(`graph output "${name}" is declared twice`);
    this.outputs.set(name, value);
  }

  /** Appends a node; called by the ops. `writes` names, for an output that is a state's next version, the input it continues. */
  append(
    op: string,
    inputs: NamedValues,
    attrs: Attrs,
    types: NamedTypes,
    writes: Readonly<Partial<Record<string, string>>> = {},
  ): NamedValues {
    const outputs: Record<string, Value> = {};
    for (const [name, { dtype, shape }] of Object.entries(types)) {
      const state = inputs[writes[name] ?? '']?.state;
      outputs[name] = this.#value({ kind: 'node', name: `${op}.${name}`, dtype, shape, state });
    }
    this.nodes.push({ op, inputs, attrs, outputs });
    return outputs;
  }

  #leaf(table: Map<string, Value>, kind: ValueKind, name: string, dtype: DType, shape: Shape): Value {
    const known = table.get(name);
    if (known) {
      if (known.dtype !== dtype || known.shape.join() !== shape.join()) {
        throw new ShapeError(
          `${kind} "${name}": expected ${known.dtype}[${known.shape.join(',')}] as before, got ${dtype}[${shape.join(',')}]`,
        );
      }
      return known;
    }
    const value = this.#value({ kind, name, dtype, shape, state: kind === 'state' ? name : undefined });
    table.set(name, value);
    return value;
  }

  #value(fields: Omit<Value, 'id'>): Value {
    return new OwnedValue(this, this.#nextId++, fields);
  }
}
