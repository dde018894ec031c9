import type { DType } from '../dtype.js';
import type { OnnxBuilder, OnnxName, OnnxValue } from '../ir/onnx_builder.js';
import { evalShape, type Shape, ShapeError } from '../ir/shape.js';
import type { Value } from '../ir/value.js';

/** Rows that a run writes to a state: their numbers i32 [n], and values [n, ...row]. */
export interface StateWrite {
  readonly rows: OnnxName;
  readonly values: OnnxName;
  readonly row: readonly number[];
  readonly dtype: DType;
}

interface Version {
  readonly state: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** What was written since the run began, oldest first. */
  readonly writes: readonly StateWrite[];
}

/**
 * States in ONNX, where graphs are pure: a state is an input, and what a run writes to it leaves as rows, which the executor puts
 * in place afterwards. A next version as an output would be a copy of the whole state at every run. Reads that come after a write
 * in the same run take those rows from what was written.
 */
export class StateRows {
  readonly #onnx: OnnxBuilder;
  readonly #input: (name: string, dtype: DType, shape: Shape) => OnnxName;
  readonly #versions = new Map<OnnxName, Version>();
  #serial = 0;
  readonly #last = new Map<string, Version>();

  constructor(onnx: OnnxBuilder, input: (name: string, dtype: DType, shape: Shape) => OnnxName) {
    this.#onnx = onnx;
    this.#input = input;
  }

  /** Each state that is written, by name. */
  get writes(): ReadonlyMap<string, readonly StateWrite[]> {
    return new Map([...this.#last].map(([state, { writes }]) => [state, writes]));
  }

  /** Version 0 of a state; its name is none of ONNX's. */
  base({ name, dtype, shape }: Value): OnnxName {
    return this.#add({ state: name, dtype, shape: evalShape(shape, {}), writes: [] });
  }

  /** Throws {@link ShapeError} if `name` is a state, which operators cannot read as a whole. */
  refuse(operator: string, name: OnnxName): void {
    const version = this.#versions.get(name);
    if (version) throw new ShapeError(`onnx: ${operator} reads state "${version.state}" other than by rows`);
  }

  read(state: OnnxValue, axes: number, rows: OnnxName): OnnxName {
    const { state: name, dtype, shape, writes } = this.#version(state);
    const count = shape.slice(0, axes).reduce((n, d) => n * d, 1);
    const stored = this.#onnx.op('Gather', [this.#input(name, dtype, [count, ...shape.slice(axes)]), rows]);
    return writes.reduce((found, write) => this.#overlay(found, rows, write, count), stored);
  }

  write(state: OnnxValue, axes: number, rows: OnnxName, values: OnnxName): OnnxName {
    const before = this.#version(state);
    const { dtype, shape } = before;
    const write = { rows, values, dtype, row: shape.slice(axes) };
    // What went to the same rows before is gone.
    const next = { ...before, writes: [...before.writes.filter((w) => w.rows !== rows), write] };
    this.#last.set(before.state, next);
    return this.#add(next);
  }

  /** `found`, the stored rows of the numbers `rows`, with those among them that were written since. */
  #overlay(found: OnnxName, rows: OnnxName, write: StateWrite, count: number): OnnxName {
    const o = this.#onnx;
    // For each row of the state, and one before them for rows that go nowhere: which written row it has become, or −1.
    const none = o.cast('i32', o.op('Expand', [o.ints([-1]), o.ints([count + 1])]));
    const number = o.cast('i64', write.rows);
    const place = o.op('Add', [o.op('Max', [number, o.ints([-1])]), o.ints([1])]);
    const length = o.op('Squeeze', [o.op('Shape', [write.rows])]);
    const order = o.op('Range', [o.ints([0], []), length, o.ints([1], [])]);
    const written = o.op('ScatterElements', [none, place, o.cast('i32', order)], { axis: 0n });
    const source = o.op('Gather', [written, o.op('Add', [rows, o.ints([1])])]);
    const hit = o.op('Not', [o.op('Less', [source, o.cast('i32', o.ints([0]))])]);
    const hits = o.op('Transpose', [o.op('NonZero', [hit])], { perm: [1, 0] });
    const values = o.op('Gather', [write.values, o.op('GatherND', [source, hits])]);
    return o.op('ScatterND', [found, hits, values]);
  }

  #version({ id }: OnnxValue): Version {
    const version = this.#versions.get(id);
    if (!version) throw new ShapeError(`onnx: expected a state, got ${id}`);
    return version;
  }

  #add(version: Version): OnnxName {
    const name = `${version.state}@${this.#serial++}`;
    this.#versions.set(name, version);
    return name;
  }
}
