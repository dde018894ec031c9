import { dtypeBytes } from '../dtype.js';
import type { Graph } from '../ir/graph.js';
import { type Bindings, type Dim, evalDim, evalShape, ShapeError, symbolsOf } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { elementCount } from '../tensor.js';
import { planArena } from './arena.js';
import { isParamRequest, type KernelCall, type Operand, type ParamRequest } from './kernel_call.js';
import { lifetimes } from './lifetimes.js';
import { storageRoots } from './storage.js';

/** Where a value of a plan lies; the numbers are the native loader's. */
export const sources = { arena: 0, input: 1, output: 2, param: 3, state: 4 } as const;

/** A value as the native loader takes it. A dimension below 0 is slot −1 − d of the run's table of sizes. */
export interface PlanValue {
  readonly source: number;
  /** Byte offset in the arena, or index of the input, output, parameter or state. */
  readonly at: number;
  readonly dtype: string;
  readonly dims: readonly number[];
}

/** A flat program: kernel steps over values with addresses. Made and checked once, run many times. */
export interface Plan {
  readonly arenaBytes: number;
  /** Symbolic sizes in the order of the run's table, and the largest that the arena holds. */
  readonly slots: readonly Dim[];
  readonly capacities: readonly number[];
  readonly inputs: readonly Value[];
  readonly outputs: readonly { readonly name: string; readonly value: Value }[];
  readonly params: readonly ParamRequest[];
  readonly states: readonly Value[];
  readonly values: readonly PlanValue[];
  /** Operands are indices of `values`; −1: absent. */
  readonly steps: readonly {
    readonly kernel: string;
    readonly inputs: readonly number[];
    readonly outputs: readonly number[];
    readonly attrs: readonly number[];
  }[];
}

/** No limit: sizes of inputs and outputs, which bring their own memory. */
const unlimited = 2 ** 31 - 1;

/** The plans of one graph: a plan for each capacity that its runs turn out to need. They differ in addresses alone. */
export interface Plans {
  /** Symbols that the arena's size depends on. */
  readonly symbols: readonly string[];
  readonly params: readonly ParamRequest[];
  /** The plan for sizes up to `capacities`. */
  sizedFor(capacities: Bindings): Plan;
}

/** Encodes the steps of a graph: once, as a server meets new sizes while it answers. Throws {@link ShapeError}. */
export function encodePlans(graph: Graph, calls: readonly KernelCall[]): Plans {
  const { rootOf, outputs, owned } = ownership(graph, calls);
  const encoder = new Encoder(
    rootOf,
    owned.map(({ value }) => value),
    outputs.map((o) => o.root),
  );
  const steps = calls.map((call) => ({
    kernel: call.kernel,
    inputs: call.inputs.map((operand) => encoder.operand(operand)),
    outputs: call.outputs.map((value) => encoder.operand(value)),
    attrs: call.attrs,
  }));
  const { slots, inputs, params, states, values } = encoder;
  return {
    symbols: [...new Set(owned.flatMap(({ value }) => symbolsOf(value.shape)))].sort(),
    params,
    sizedFor(capacities) {
      const arena = planArena(
        owned.map(({ value, first, last }) => ({
          first,
          last,
          bytes: elementCount(evalShape(value.shape, capacities)) * dtypeBytes[value.dtype],
        })),
      );
      const limit = (dim: Dim): number =>
        symbolsOf([dim]).every((s) => s in capacities) ? evalDim(dim, capacities) : unlimited;
      return {
        arenaBytes: arena.bytes,
        steps,
        slots,
        capacities: slots.map(limit),
        inputs,
        outputs,
        params,
        states,
        values: values.map((v) =>
          v.source === sources.arena ? { ...v, at: arena.offsets[v.at] as number } : v,
        ),
      };
    },
  };
}

function ownership(graph: Graph, calls: readonly KernelCall[]) {
  const roots = storageRoots(graph);
  const rootOf = (value: Value): Value => roots.get(value) ?? value;
  const outputs = [...graph.outputs].map(([name, value]) => ({ name, value, root: rootOf(value) }));
  const external = new Set(outputs.map((o) => o.root));
  if (external.size !== outputs.length || outputs.some((o) => o.root.kind !== 'node')) {
    throw new ShapeError(
      'plan: expected every graph output in memory of its own, got a state, a leaf or one twice',
    );
  }
  const owned = lifetimes(calls, rootOf).filter(({ value }) => value.kind === 'node' && !external.has(value));
  return { rootOf, outputs, owned };
}

/** Gives values, parameters and symbolic sizes their numbers as steps name them. */
class Encoder {
  readonly slots: Dim[] = [];
  readonly inputs: Value[] = [];
  readonly states: Value[] = [];
  readonly params: ParamRequest[] = [];
  readonly values: PlanValue[] = [];
  readonly #rootOf: (value: Value) => Value;
  /** Index of each value that has memory in the arena: its address, until sizes are known. */
  readonly #owned: ReadonlyMap<Value, number>;
  readonly #outputs: readonly Value[];
  readonly #known = new Map<Value | string, number>();

  constructor(rootOf: (value: Value) => Value, owned: readonly Value[], outputs: readonly Value[]) {
    this.#rootOf = rootOf;
    this.#owned = new Map(owned.map((value, i) => [value, i]));
    this.#outputs = outputs;
  }

  operand(operand: Operand): number {
    if (operand === undefined) return -1;
    const key = isParamRequest(operand) ? paramKey(operand) : operand;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    this.values.push(isParamRequest(operand) ? this.#param(operand) : this.#value(operand));
    this.#known.set(key, this.values.length - 1);
    return this.values.length - 1;
  }

  #param(request: ParamRequest): PlanValue {
    const first = request.parts.find((p) => typeof p !== 'number') as Value;
    const rows = request.parts.map((p) => (typeof p === 'number' ? p : Number(p.shape[0])));
    const n = request.gated ? (rows[0] as number) : rows.reduce((a, b) => a + b, 0);
    const dtype = request.layout === 'vector' && first.dtype !== 'i32' ? 'f32' : first.dtype;
    return {
      source: sources.param,
      at: this.params.push(request) - 1,
      dtype,
      dims: [n, ...evalShape(first.shape.slice(1), {})],
    };
  }

  #value(value: Value): PlanValue {
    const root = this.#rootOf(value);
    const dims = value.shape.map((d) => (typeof d === 'number' ? d : -1 - indexIn(this.slots, d)));
    const output = this.#outputs.indexOf(root);
    const place = (source: number, at: number): PlanValue => ({ source, at, dtype: value.dtype, dims });
    if (output >= 0) return place(sources.output, output);
    switch (root.kind) {
      case 'input':
        return place(sources.input, indexIn(this.inputs, root));
      case 'state':
        return place(sources.state, indexIn(this.states, root));
      case 'node':
        return place(sources.arena, this.#owned.get(root) as number);
      default:
        // Plain numbers (a constant, a norm's weight): a parameter with the shape that the graph gives it.
        return { ...this.#param({ layout: 'vector', gated: false, parts: [root] }), dims };
    }
  }
}

/** Index of `item` in `list`, to which it is added if need be. */
function indexIn<T>(list: T[], item: T): number {
  const index = list.indexOf(item);
  return index >= 0 ? index : list.push(item) - 1;
}

/** What makes two requests the same memory. */
export function paramKey(request: ParamRequest): string {
  const parts = request.parts.map((p) => {
    if (typeof p === 'number') return `0×${p}`;
    return p.kind === 'const' ? `const:${p.dtype}:${p.data?.join()}` : `${p.name}:${p.dtype}`;
  });
  return `${request.layout}${request.gated ? ':gated' : ''}(${parts.join('|')})`;
}
