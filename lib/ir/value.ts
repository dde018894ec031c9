import type { DType } from '../dtype.js';
import type { Dim, Shape } from './shape.js';

export interface TensorType {
  readonly dtype: DType;
  readonly shape: Shape;
}

/**
 * Where a value comes from.
 * - `input`: fed at each run. - `param`: a checkpoint tensor. - `const`: numbers known when the graph is built.
 * - `state`: memory that outlives a run (a KV cache); version 0. - `node`: an output of an op.
 */
export type ValueKind = 'input' | 'param' | 'const' | 'state' | 'node';

/** One SSA value: a graph's leaf, or one named output of exactly one node. */
export interface Value extends TensorType {
  readonly id: number;
  readonly kind: ValueKind;
  /** Leaves: the leaf's name. Node outputs: `op.output`. */
  readonly name: string;
  /** The state that this value is a version of, if it is one. */
  readonly state?: string | undefined;
  /** The numbers of a `const`, row-major. */
  readonly data?: readonly number[] | undefined;
}

export type Attr = number | boolean | string | readonly number[] | readonly Dim[];
export type Attrs = Readonly<Record<string, Attr>>;
export type NamedValues = Readonly<Record<string, Value>>;
export type NamedTypes = Readonly<Record<string, TensorType>>;

/** One application of an op. Optional inputs that were not given are absent. */
export interface Node {
  readonly op: string;
  readonly inputs: NamedValues;
  readonly attrs: Attrs;
  readonly outputs: NamedValues;
}
