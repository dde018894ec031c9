import type { DType } from '../../lib/dtype.js';
import { evalShape, type Shape } from '../../lib/ir/shape.js';
import type { Attrs } from '../../lib/ir/value.js';
import { floats, named } from '../random.js';

/** One operand of a sample. */
export interface SampleInput {
  readonly dtype: DType;
  /** Its symbols have the sizes that the sample's `dims` say. */
  readonly shape: Shape;
  readonly data: readonly number[];
  /** Default `input`. A `state` begins a run with `data`; executors with own layouts want weights as `param`. */
  readonly from?: 'input' | 'param' | 'const' | 'state';
}

/** An op applied once: what every executor must agree on with `reference`. */
export interface Sample {
  readonly name: string;
  readonly inputs: Readonly<Record<string, SampleInput>>;
  readonly attrs: Attrs;
  readonly dims: Readonly<Record<string, number>>;
  /** Largest error, relative to the largest number of an output; left out: 1e-5. */
  readonly tolerance?: number;
  /** How far whole numbers may be off; left out: 0. */
  readonly steps?: number;
}

interface Range {
  readonly low?: number;
  readonly high?: number;
}

/** Makes operands whose numbers depend on the sample's name alone. */
export interface Draw {
  x(shape: Shape, range?: Range): SampleInput;
  /** Whole numbers from 0 to below − 1. */
  ids(shape: Shape, below: number): SampleInput;
  i32(data: readonly number[], shape?: Shape): SampleInput;
  /** Bytes of an int8 product: rows padded with 0 to `wide`. */
  bytes(rows: Shape, k: number, wide: number): SampleInput;
  /** A weight: f32 numbers that the executor makes `dtype` of. */
  param(shape: readonly number[], dtype?: DType, range?: Range): SampleInput;
  /** A state of those numbers. */
  state(shape: readonly number[], range?: Range): SampleInput;
  /** A cache of blocks with something in every place. */
  cache(shape: readonly number[]): SampleInput;
  readonly next: () => number;
}

/** A sample over random numbers; `make` gives the operands by name. */
export function drawn(
  name: string,
  dims: Sample['dims'],
  make: (draw: Draw) => Sample['inputs'],
  attrs: Attrs = {},
  tolerance?: number,
): Sample {
  const next = named(name);
  const count = (shape: Shape): number => evalShape(shape, dims).reduce((n, d) => n * d, 1);
  const numbers = (shape: Shape, { low = -1, high = 1 }: Range = {}): number[] =>
    floats(next, count(shape), low, high);
  const draw: Draw = {
    next,
    x: (shape, range) => ({ dtype: 'f32', shape, data: numbers(shape, range) }),
    ids: (shape, below) => ({
      dtype: 'i32',
      shape,
      data: Array.from({ length: count(shape) }, () => Math.floor(next() * below)),
    }),
    bytes: (rows, k, wide) => ({
      dtype: 'i8',
      shape: [...rows, wide],
      data: Array.from({ length: count(rows) * wide }, (_, i) =>
        i % wide < k ? Math.floor(next() * 255) - 127 : 0,
      ),
    }),
    i32: (data, shape = [data.length]) => ({ dtype: 'i32', shape, data }),
    param: (shape, dtype = 'f32', range) => ({ dtype, shape, data: numbers(shape, range), from: 'param' }),
    state: (shape, range) => ({ dtype: 'f32', shape, data: numbers(shape, range), from: 'state' }),
    cache: (shape) => ({ dtype: 'f32', shape, data: numbers(shape), from: 'state' }),
  };
  return { name, inputs: make(draw), attrs, dims, ...(tolerance === undefined ? {} : { tolerance }) };
}

/** Every choice of one item from each list. */
export function product<T extends readonly unknown[]>(
  ...lists: { readonly [K in keyof T]: readonly T[K][] }
): T[] {
  return lists.reduce<unknown[][]>(
    (all, list) => all.flatMap((head) => list.map((item) => [...head, item])),
    [[]],
  ) as unknown[] as T[];
}
