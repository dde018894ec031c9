import type { Graph } from '../ir/graph.js';
import type { Bindings } from '../ir/shape.js';
import { type RunData, runArray, type Tensor } from '../tensor.js';
import { memoryParams } from '../weights/param_source.js';
import { cpuExecutor } from './cpu.js';
import type { DeviceName, Executor, Session } from './executor.js';
import { onnxExecutor } from './onnx.js';
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
  readonly device?: Extract<DeviceName, 'cpu' | 'onnx' | 'reference'>;
  /** Instruction set, with `cpu`. */
  readonly isa?: string;
  readonly threads?: number;
}

/** Runs a graph once and returns its outputs by name. State begins as zeros and ends with the call. */
export async function runGraph(graph: Graph, options: RunGraphOptions): Promise<Record<string, Tensor>> {
  const session = executorOf(options).open(memoryParams(options.params ?? {}));
  try {
    return await runIn(session, graph, options);
  } finally {
    await session.dispose();
  }
}

/** Runs a graph once in a session that has its parameters, and may hold state. */
export async function runIn(
  session: Session,
  graph: Graph,
  options: Pick<RunGraphOptions, 'inputs' | 'bindings'>,
): Promise<Record<string, Tensor>> {
  const bindings: Record<string, number> = { ...options.bindings };
  const inputs: Record<string, RunData> = {};
  for (const value of graph.inputs.values()) {
    const given = options.inputs[value.name];
    if (!given) throw new TypeError(`runGraph: input "${value.name}" is missing`);
    value.shape.forEach((dim, i) => {
      if (typeof dim === 'string' && !dim.includes('*')) bindings[dim] = given.shape[i] ?? 0;
    });
    const data = runArray(value.dtype, given.data.length);
    data.set(given.data);
    inputs[value.name] = data;
  }
  const executable = await session.compile(graph);
  return { ...(await executable.run({ inputs, bindings })) };
}

/** The executor that the options name. */
export function executorOf(options: Pick<RunGraphOptions, 'device' | 'isa' | 'threads'>): Executor {
  const { device = 'reference', isa, threads } = options;
  if (device === 'cpu') return cpuExecutor({ isa, threads });
  return device === 'onnx' ? onnxExecutor({ threads }) : referenceExecutor;
}
