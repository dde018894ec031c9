import type { DType } from '../dtype.js';
import { type Shape, ShapeError, sizeOf } from './shape.js';
import type { Attrs, NamedTypes, NamedValues, Node, Value, ValueKind } from './value.js';

/** Graphs whose values are in use; a value knows its graph through this table, so that values stay plain data. */
const owners = new WeakMap<Value, Graph>();

/** The graph that `value` belongs to. */
export function graphOf(value: Value): Graph {
  const graph = owners.get(value);
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
    writes: Readonly<Record<string, string>>,
  ): NamedValues {
    const outputs: Record<string, Value> = {};
    for (const [name, { dtype, shape }] of Object.entries(types)) {
      const state = inputs[writes[name] ?? '']?.state;
      outputs[name] = this.#value({
        kind: 'node',
        name: `${op}.${name}`,
        dtype,
        shape,
        ...(state === undefined ? {} : { state }),
      });
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
    const value = this.#value({ kind, name, dtype, shape, ...(kind === 'state' ? { state: name } : {}) });
    table.set(name, value);
    return value;
  }

  #value(fields: Omit<Value, 'id'>): Value {
    const value: Value = { id: this.#nextId++, ...fields };
    owners.set(value, this);
    return value;
  }
}
