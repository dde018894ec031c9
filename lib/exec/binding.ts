import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import {
  abortError,
  DeviceUnavailableError,
  type ErrorCode,
  InvalidArgumentError,
  ModelFormatError,
  OutOfMemoryError,
  type TrigaError,
  UnsupportedError,
} from '../errors.js';
import type { RunData } from '../tensor.js';

/** Where numbers lie in a file. */
export interface NativePlace {
  readonly file: string;
  readonly offset: number;
}

/** A tensor, or a part of one, that goes into a packed parameter: from a file, from memory, or zeros. */
export interface NativeParamPart extends Partial<NativePlace> {
  /** What messages call it. */
  readonly name?: string;
  readonly n: number;
  readonly k: number;
  readonly dtype: string;
  readonly transposed: boolean;
  /** Of a part of type q8. */
  readonly scales?: NativePlace;
  readonly data?: Uint8Array | Float32Array | Int32Array;
}

export interface NativeParam {
  readonly layout: 'panels' | 'vector';
  readonly gated: boolean;
  readonly dtype: string;
  readonly parts: readonly NativeParamPart[];
}

export interface NativePlan {
  readonly arenaBytes: number;
  readonly capacities: readonly number[];
  readonly inputs: number;
  readonly outputs: number;
  readonly values: readonly {
    readonly source: number;
    readonly at: number;
    readonly dtype: string;
    readonly dims: readonly number[];
  }[];
  readonly steps: readonly {
    readonly kernel: string;
    readonly inputs: readonly number[];
    readonly outputs: readonly number[];
    readonly attrs: readonly number[];
  }[];
}

/** Several runs in a row: how the inputs of the next follow, as indices of the plan's inputs and outputs. See native/burst.h. */
export interface NativeBurst {
  readonly steps: number;
  readonly ids: number;
  readonly tokens: number;
  /** [input, first, stride]. */
  readonly counters: readonly (readonly [number, number, number])[];
  readonly slots: number;
  readonly positions: number;
  readonly tables: number;
  readonly stops: readonly number[];
}

/** One model on the engine. One job at a time: a call while one is under way throws. */
export interface NativeSession {
  readonly isa: string;
  readonly bytes: number;
  /** Parameters get the next indices, in order. */
  loadParams(params: readonly NativeParam[]): Promise<void>;
  /** Adds zeroed memory; returns its index. */
  addState(bytes: number): number;
  /** Copies f32 numbers of a state from the `begin`th on: out of `data`, or into it. */
  copyState(state: number, begin: number, data: Float32Array, write: boolean): void;
  /** Checks a plan over the parameters and states of those indices; returns its index. */
  addPlan(plan: NativePlan, params: readonly number[], states: readonly number[]): number;
  /** Runs a plan, or a burst of runs, whose outputs lie one after the other; they are written in place. */
  run(
    plan: number,
    slots: readonly number[],
    inputs: readonly RunData[],
    outputs: readonly RunData[],
    burst?: NativeBurst,
    /** Called with the runs of the burst that have ended. */
    onProgress?: (done: number) => void,
  ): Promise<void>;
  /** Ends the job under way at its next step; it rejects with AbortError. */
  cancel(): void;
  /** Ends the burst under way after the run that it is in. */
  endBurst(): void;
  /** Frees everything. */
  dispose(): Promise<void>;
}

export interface NativeInt8Gemm {
  readonly a: Int8Array;
  readonly b: Int8Array;
  readonly aScale: Float32Array;
  readonly bScale: Float32Array;
  readonly y: Float32Array;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly groupSize: number;
}

export interface NativeAttention {
  readonly q: Float32Array;
  readonly k: Float32Array;
  readonly v: Float32Array;
  readonly y: Float32Array;
  readonly rows: number;
  readonly keys: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** 0: all. */
  readonly window: number;
  readonly causal: boolean;
}

/** A byte-level BPE tokenizer in training; see native/bpe_trainer.h. One job at a time: a call while one is under way throws. */
export interface NativeBpeTrainer {
  /** Counts the words of UTF-8 texts that lie one after the other. */
  count(texts: Uint8Array, ends: Uint32Array): Promise<void>;
  /** Learns merges until there are so many symbols; the last job. `onProgress` is told the merges so far. */
  learn(symbols: number, minFrequency: number, onProgress: (merges: number) => void): Promise<void>;
  /** Ends the job under way at its next step; it rejects with AbortError. */
  cancel(): void;
  /** [merges, 3]: left, right, result. */
  readonly merges: Int32Array;
  /** Words that differ; known once learn() has ended. */
  readonly words: number;
  /** Words too long to be counted. */
  readonly longWords: number;
}

/** A byte-level BPE tokenizer; see native/bpe_encoder.h. It encodes at once: for a worker. */
export interface NativeBpeEncoder {
  /** Ids of UTF-8 texts that lie one after the other, each followed by `endOfText`; `ends` become those of the ids. */
  encode(texts: Uint8Array, ends: Uint32Array, endOfText: number): Int32Array;
}

/** What the addon exports; native/addon.cc has the other side. */
export interface Binding {
  readonly version: string;
  /** Instruction sets that this machine can run, best first. */
  readonly isas: readonly string[];
  /** Physical cores within affinity and the container's quota. */
  readonly defaultThreads: number;
  setErrorFactory(factory: (code: string, message: string) => Error): void;
  /** What V8 has been told of memory outside its heap, by everybody in this thread. */
  externalBytes(): number;
  /** See native/direct.h. Both compute at once and write y. */
  int8Gemm(isa: string, threads: number, gemm: NativeInt8Gemm): void;
  attention(isa: string, threads: number, attention: NativeAttention): void;
  /** `bytes`: ids of the 256 bytes; `merges` [merges, 3]: ids of left, right and result, by rank. */
  readonly BpeEncoder: new (
    bytes: Int32Array,
    merges: Int32Array,
  ) => NativeBpeEncoder;
  /** `alphabet`: the byte that each of the symbols 0 to 255 stands for. */
  readonly BpeTrainer: new (
    threads: number,
    alphabet: Uint8Array,
  ) => NativeBpeTrainer;
  readonly Session: new (isa: string | undefined, threads: number) => NativeSession;
}

const classes: Readonly<Record<ErrorCode, new (message: string) => TrigaError>> = {
  MODEL_FORMAT: ModelFormatError,
  INVALID_ARGUMENT: InvalidArgumentError,
  OUT_OF_MEMORY: OutOfMemoryError,
  UNSUPPORTED: UnsupportedError,
  DEVICE_UNAVAILABLE: DeviceUnavailableError,
};

/** The error that a native failure becomes. */
function makeError(code: string, message: string): Error {
  if (code === 'ABORTED') return abortError();
  if (Object.hasOwn(classes, code)) return new classes[code as ErrorCode](message);
  return new Error(`triga engine: ${message}`);
}

// lib/exec and dist/exec lie equally deep, so one path finds the package's root from both.
const root = fileURLToPath(new URL('../..', import.meta.url));

let loaded: Binding | undefined;

/** Loads the addon, once. Throws {@link DeviceUnavailableError} if it is missing, does not load, or is of another version. */
export function loadBinding(): Binding {
  if (loaded) return loaded;
  const require = createRequire(import.meta.url);
  const remedy = 'run "npm run build" in triga\'s folder, or reinstall it';
  let binding: Binding;
  try {
    binding = (require('node-gyp-build') as (root: string) => Binding)(root);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
    throw new DeviceUnavailableError(
      `cpu: the native addon does not load on ${process.platform}-${process.arch}: ${why}; ${remedy}`,
      { cause },
    );
  }
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  if (binding.version !== version) {
    throw new DeviceUnavailableError(
      `cpu: expected a native addon of version ${version}, got ${String(binding.version)}; ${remedy}`,
    );
  }
  binding.setErrorFactory(makeError);
  loaded = binding;
  return binding;
}
