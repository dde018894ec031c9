import type { DType } from '../dtype.js';
import type { OnnxAttrs, OnnxName } from '../ir/onnx_builder.js';
import type { Dim } from '../ir/shape.js';

/** One application of an operator. */
export interface OnnxNode {
  readonly operator: string;
  /** `''`: the standard operators. */
  readonly domain: string;
  /** An optional input that was not given is `''`. */
  readonly inputs: readonly OnnxName[];
  readonly outputs: readonly OnnxName[];
  readonly attrs: OnnxAttrs;
}

/** Bytes of a file beside the model. */
export interface ExternalBytes {
  readonly location: string;
  readonly offset: number;
  readonly bytes: number;
}

/** A tensor that the model holds, or that lies in a file beside it. */
export interface OnnxTensor {
  readonly name: OnnxName;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: Uint8Array | ExternalBytes;
}

/** An input or output; a size that nobody knows is undefined. */
export interface OnnxPort {
  readonly name: OnnxName;
  readonly dtype: DType;
  readonly shape: readonly (Dim | undefined)[];
}

/** An ONNX graph as plain data. */
export interface OnnxModel {
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly OnnxTensor[];
  readonly inputs: readonly OnnxPort[];
  readonly outputs: readonly OnnxPort[];
}
