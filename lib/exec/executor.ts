import type { Graph } from '../ir/graph.js';
import type { Bindings } from '../ir/shape.js';
import type { Tensor } from '../tensor.js';
import type { ParamSource } from '../weights/param_source.js';

/** What runs a model. */
export type DeviceName = 'cuda' | 'cpu' | 'onnx' | 'reference';

export interface CompileOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called as parameters are read: bytes so far and in all. */
  readonly onProgress?: ((loaded: number, total: number) => void) | undefined;
}

/** One run: the graph's inputs by name, and the size of each symbol. */
export interface RunRequest {
  readonly inputs: Readonly<Record<string, Int32Array | Float32Array>>;
  readonly bindings: Bindings;
  readonly signal?: AbortSignal | undefined;
}

/** A graph made ready on a device. Runs of one session never overlap: the caller awaits each. */
export interface Executable {
  /** Runs the graph once. Rejects with AbortError between two steps after an abort; state is then as far as the run came. */
  run(request: RunRequest): Promise<Readonly<Record<string, Tensor>>>;
}

/** A device's hold on one model: its parameters, its state, and the graphs compiled for it. */
export interface Session {
  /** Reads the parameters that the graph names and no graph before did, and plans it. */
  compile(graph: Graph, options?: CompileOptions): Promise<Executable>;
  /** Memory held: parameters, state and workspace. */
  readonly bytes: number;
  /** Frees all of it. Idempotent; waits for a run under way, which is cancelled. */
  dispose(): Promise<void>;
}

export interface Executor {
  readonly device: DeviceName;
  /** Instruction set, or the device's own name for what it runs on. */
  readonly isa: string;
  open(params: ParamSource): Session;
}
