import type { Graph } from '../ir/graph.js';
import type { Bindings } from '../ir/shape.js';
import type { RunData, Tensor } from '../tensor.js';
import type { ParamSource } from '../weights/param_source.js';

/** What runs a model. */
export type DeviceName = 'cuda' | 'cpu' | 'onnx' | 'reference';

export interface CompileOptions {
  /** Sizes of runs to come: what can be prepared for them is, so that the first ones do not wait for it. */
  readonly sizes?: readonly Bindings[];
  /** Symbols that are sides of a picture: planned for in finer steps than numbers of rows. */
  readonly sides?: readonly string[];
  readonly signal?: AbortSignal | undefined;
  /** Called as parameters are read: bytes so far and in all. */
  readonly onProgress?: ((loaded: number, total: number) => void) | undefined;
}

/** One run: the graph's inputs by name, and the size of each symbol. */
export interface RunRequest {
  readonly inputs: Readonly<Record<string, RunData>>;
  readonly bindings: Bindings;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Several runs in a row, each of which feeds the next without the caller's help: how a text graph decodes. Every row of the inputs
 * is one sequence's next token.
 */
export interface Burst {
  /** Runs at most. */
  readonly steps: number;
  /** The i32 output [R] that becomes the i32 input `tokens`. A row that gives one of `stops`, or an id below 0, ends the burst. */
  readonly ids: string;
  readonly tokens: string;
  readonly stops: readonly number[];
  /** i32 inputs of which numbers first, first + stride, … grow by one: positions, lengths, random counters. */
  readonly counters: readonly { readonly input: string; readonly first: number; readonly stride: number }[];
  /** The input that names the cache slot of each row's position, by its block table. */
  readonly slots: string;
  readonly positions: string;
  readonly tables: string;
  /** Called with the outputs of each run, in order, while later ones may be under way. */
  readonly onStep: (outputs: Readonly<Record<string, Tensor>>) => void;
}

/** A graph made ready on a device. Runs of one session never overlap: the caller awaits each. */
export interface Executable {
  /** Runs the graph once. Rejects with AbortError between two steps after an abort; state is then as far as the run came. */
  run(request: RunRequest): Promise<Readonly<Record<string, Tensor>>>;
  /** Runs the graph several times. Resolves when the last run has been told of. An abort ends it as it ends a run. */
  burst(request: RunRequest, burst: Burst): Promise<void>;
  /** Ends the burst under way, if any, after the run that it is in. */
  endBurst(): void;
  /** Bytes that a run of those sizes works in, beside parameters and states. Left out: nobody knows. */
  workspaceBytes?(bindings: Bindings): number;
}

/** The states of a session's graphs, as numbers: between runs, never during one. */
export interface StateMemory {
  /** Copies numbers of a state, row-major, from `begin` on. */
  read(name: string, begin: number, into: Float32Array): void;
  write(name: string, begin: number, from: Float32Array): void;
}

/** A device's hold on one model: its parameters, its state, and the graphs compiled for it. */
export interface Session {
  /** Reads the parameters that the graph names and no graph before did, and plans it. */
  compile(graph: Graph, options?: CompileOptions): Promise<Executable>;
  /** Memory held: parameters, state and workspace. */
  readonly bytes: number;
  /** Left out: a device that does not let anyone at them. */
  readonly states?: StateMemory;
  /** Frees all of it. Idempotent; waits for a run under way, which is cancelled. */
  dispose(): Promise<void>;
}

export interface Executor {
  readonly device: DeviceName;
  /** Instruction set, or the device's own name for what it runs on. */
  readonly isa: string;
  open(params: ParamSource): Session;
}
