import type { Graph } from '../ir/graph.js';
import type { Bindings } from '../ir/shape.js';
import type { Tensor } from '../tensor.js';
import { memoryParams } from '../weights/param_source.js';
import { cpuExecutor } from './cpu.js';
import type { DeviceName, Executor } from './executor.js';
import { referenceExecutor } from './reference.js';

/** Numbers with a shape, row-major. */
export interface Numbers {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}

export interface RunGraphOptions {
  /** By name, for every input of the graph. */
  readonly inputs: Readonly<Record<string, Numbers>>;
  /** By name, for every parameter of the graph: f32, converted to the type that the graph gives them. */
  readonly params?: Readonly<Record<string, Numbers>>;
  /** Sizes of symbols that no input's shape is made of. */
  readonly bindings?: Bindings;
  /** Default `reference`. */
  readonly device?: Extract<DeviceName, 'cpu' | 'reference'>;
  /** Instruction set, with `cpu`. */
  readonly isa?: string;
  readonly threads?: number;
}

/** Runs a graph once and returns its outputs by name. State begins as zeros and ends with the call. */
export async function runGraph(graph: Graph, options: RunGraphOptions): Promise<Record<string, Tensor>> {
  const { isa, threads } = options;
  const executor: Executor = options.device === 'cpu' ? cpuExecutor({ isa, threads }) : referenceExecutor;
  const bindings: Record<string, number> = { ...options.bindings };
  const inputs: Record<string, Int32Array | Float32Array> = {};
  for (const value of graph.inputs.values()) {
    const given = options.inputs[value.name];
    if (!given) throw new TypeError(`runGraph: input "${value.name}" is missing`);
    value.shape.forEach((dim, i) => {
      if (typeof dim === 'string' && !dim.includes('*')) bindings[dim] = given.shape[i] ?? 0;
    });
    inputs[value.name] = value.dtype === 'i32' ? Int32Array.from(given.data) : Float32Array.from(given.data);
  }
  const session = executor.open(memoryParams(options.params ?? {}));
  try {
    const executable = await session.compile(graph);
    return { ...(await executable.run({ inputs, bindings })) };
  } finally {
    await session.dispose();
  }
}
