import type { DType } from '../dtype.js';
import type { Shape } from './shape.js';
import type { TensorType } from './value.js';

/** Name of a value in the ONNX graph that is being built. */
export type OnnxName = string;

/** A value that a lowering reads: its name in the ONNX graph, and its type in ours. */
export interface OnnxValue extends TensorType {
  readonly id: OnnxName;
}

/** An operator's attribute: a bigint is an integer, a number a float, a list integers. */
export type OnnxAttr = bigint | number | string | readonly number[];
export type OnnxAttrs = Readonly<Record<string, OnnxAttr>>;

/** What an op's ONNX lowering builds with; lib/onnx implements it. Indices and sizes are i64, as ONNX has them. */
export interface OnnxBuilder {
  /**
   * Applies an operator and returns its only output. One that is no standard operator bears its domain:
   * `'com.microsoft.MatMulNBits'`. Applied twice to the same inputs it is computed once, so a lowering need not care.
   */
  op(operator: string, inputs: readonly (OnnxName | undefined)[], attrs?: OnnxAttrs): OnnxName;
  /** As {@link op}, of an operator with several outputs. */
  ops(
    operator: string,
    inputs: readonly (OnnxName | undefined)[],
    outputs: number,
    attrs?: OnnxAttrs,
  ): readonly OnnxName[];
  /** An i64 constant; a list unless `shape` says otherwise. */
  ints(data: readonly number[], shape?: readonly number[]): OnnxName;
  /** An f32 constant; a list unless `shape` says otherwise. */
  floats(data: readonly number[], shape?: readonly number[]): OnnxName;
  cast(dtype: DType, x: OnnxName): OnnxName;
  /** The value as `dtype`, converted if it is of another type. */
  as(dtype: DType, value: OnnxValue): OnnxName;
  /** Sizes in a run: i64 [rank]. Every symbol must occur by itself in the shape of a graph input. */
  sizes(shape: Shape): OnnxName;
  reshape(x: OnnxName, shape: Shape): OnnxName;
  /**
   * Rows of a state by their numbers: i64 [...] → [..., row]. The state's first `axes` axes, taken as one, number its rows.
   * Sees what {@link writeRows} wrote before.
   */
  readRows(state: OnnxValue, axes: number, rows: OnnxName): OnnxName;
  /** The state's next version, in which rows (i32 [n]; negative: none) have become values [n, row]. */
  writeRows(state: OnnxValue, axes: number, rows: OnnxName, values: OnnxName): OnnxName;
}
