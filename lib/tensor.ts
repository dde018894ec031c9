import type { DType } from './dtype.js';

/** Numbers of a tensor that leaves or enters the engine. */
export type TensorData = Float32Array | Float64Array | Int32Array | Int8Array;

/** A dense row-major tensor on the JavaScript side. */
export interface Tensor {
  readonly dtype: DType;
  readonly shape: number[];
  readonly data: TensorData;
}

/** Numbers that enter a run, or leave it. */
export type RunData = Float32Array | Int32Array | Int8Array;

/** Room for n numbers of a value of that type on its way into a run or out of it: floating point is f32 there. */
export function runArray(dtype: DType, n: number): RunData {
  if (dtype === 'i32') return new Int32Array(n);
  return dtype === 'i8' ? new Int8Array(n) : new Float32Array(n);
}

/** Number of elements of a shape. */
export const elementCount = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);
