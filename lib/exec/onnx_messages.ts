import type { Bindings } from '../ir/shape.js';
import type { Node, Value } from '../ir/value.js';
import type { RunData, Tensor } from '../tensor.js';

/** What a worker is started with. */
export interface OnnxWorkerStart {
  /** {@link busy} and {@link closing}, shared with the main thread. */
  readonly control: Int32Array;
  readonly threads: number;
}

/** Places of the control array. Busy: inside onnxruntime, where neither thread nor process may end. Closing: enter it no more. */
export const control = { busy: 0, closing: 1 } as const;

/** What the worker does with a graph besides running its ONNX session. */
export interface OnnxProgram {
  /** Inputs and states that the session reads. */
  readonly inputs: readonly Value[];
  readonly states: readonly { readonly name: string; readonly shape: readonly number[] }[];
  readonly fetched: ReadonlyMap<Value, string>;
  readonly rest: readonly Node[];
  readonly outputs: ReadonlyMap<string, Value>;
  readonly writes: readonly { readonly state: string; readonly rows: string; readonly values: string }[];
}

export type OnnxRequest =
  | {
      readonly kind: 'compile';
      readonly program: number;
      readonly plan: OnnxProgram;
      readonly session: number;
      /** The session's model; left out: it was made before. */
      readonly model?: Uint8Array;
      /** Where the files lie that the model names. */
      readonly folder: string;
    }
  | {
      readonly kind: 'run';
      readonly program: number;
      readonly inputs: Readonly<Record<string, RunData>>;
      readonly bindings: Bindings;
    };

export interface OnnxFailure {
  readonly type: 'unavailable' | 'model' | 'memory' | 'internal';
  readonly message: string;
}

export type OnnxReply =
  | { readonly outputs: Readonly<Record<string, Tensor>> }
  | { readonly failure: OnnxFailure };
