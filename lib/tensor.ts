import type { DType } from './dtype.js';

/** Numbers of a tensor that leaves or enters the engine. */
export type TensorData = Float32Array | Float64Array | Int32Array;

/** A dense row-major tensor on the JavaScript side. */
export interface Tensor {
  readonly dtype: DType;
  readonly shape: number[];
  readonly data: TensorData;
}

/** Number of elements of a shape. */
export const elementCount = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);
