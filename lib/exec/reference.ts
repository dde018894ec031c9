import { roundTo, roundToQ8 } from '../dtype.js';
import { InvalidArgumentError, throwIfAborted } from '../errors.js';
import type { RefTensor } from '../ir/define_op.js';
import type { Graph } from '../ir/graph.js';
import { type Bindings, evalShape, ShapeError } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { decompose } from '../passes/decompose.js';
import { elementCount, type RunData, type Tensor } from '../tensor.js';
import {
  type ParamInfo,
  type ParamSource,
  paramOf,
  readParam,
  scaleError,
  storedBytes,
  storedType,
} from '../weights/param_source.js';
import { burstLoop } from './burst_loop.js';
import type { CompileOptions, Executable, Executor, RunRequest, Session, StateMemory } from './executor.js';
import { runReference, toTensor } from './run_reference.js';
import { timeSlices } from './time_slices.js';

/** The executor that defines what every op means: TypeScript, float64, one loop an op. */
export const referenceExecutor: Executor = {
  device: 'reference',
  isa: 'float64',
  open: (params) => new ReferenceSession(params),
};

class ReferenceSession implements Session {
  readonly #source: ParamSource;
  readonly #params = new Map<string, RefTensor>();
  readonly #states = new Map<string, RefTensor>();

  constructor(source: ParamSource) {
    this.#source = source;
  }

  get bytes(): number {
    return [...this.#params.values(), ...this.#states.values()].reduce((n, t) => n + t.data.byteLength, 0);
  }

  readonly states: StateMemory = {
    read: (name, begin, into) => into.set(this.#part(name, begin, into.length)),
    write: (name, begin, from) => this.#part(name, begin, from.length).set(from),
  };

  #part(name: string, begin: number, count: number): Float64Array {
    const state = this.#states.get(name);
    if (!state) throw new ShapeError(`no graph of this session has a state "${name}"`);
    const part = state.data.subarray(begin, begin + count);
    if (begin < 0 || part.length !== count)
      throw new ShapeError(
        `state "${name}": expected numbers within ${state.data.length}, got ${begin} to ${begin + count}`,
      );
    return part;
  }

  async compile(graph: Graph, { signal, onProgress }: CompileOptions = {}): Promise<Executable> {
    const primitives = decompose(graph, () => false);
    const size = (name: string): number => {
      const info = this.#source.get(name);
      return info ? storedBytes(info) : 0;
    };
    const total = [...primitives.params.keys()].reduce((n, name) => n + size(name), 0);
    let done = 0;
    for (const value of primitives.params.values()) {
      throwIfAborted(signal);
      if (!this.#params.has(value.name)) {
        const data = await readParam(paramOf(this.#source, value.name), { signal });
        const info = this.#source.get(value.name) as ParamInfo;
        this.#params.set(value.name, {
          shape: evalShape(value.shape, {}),
          data: storedType(info) === value.dtype ? data : converted(info, value, data),
        });
      }
      done += size(value.name);
      onProgress?.(done, total);
    }
    for (const value of primitives.states.values()) {
      const shape = evalShape(value.shape, {});
      if (!this.#states.has(value.name))
        this.#states.set(value.name, { shape, data: new Float64Array(elementCount(shape)) });
    }
    let ended = false;
    const run = (request: RunRequest) => this.#run(primitives, request);
    return {
      run,
      burst: async (request, burst) => {
        ended = false;
        await burstLoop(run, request, burst, () => ended);
      },
      endBurst: () => {
        ended = true;
      },
    };
  }

  async #run(graph: Graph, { inputs, bindings, signal }: RunRequest): Promise<Record<string, Tensor>> {
    const values = new Map<Value, RefTensor>();
    for (const v of graph.params.values()) values.set(v, this.#params.get(v.name) as RefTensor);
    for (const v of graph.states.values()) values.set(v, this.#states.get(v.name) as RefTensor);
    for (const v of graph.constants)
      values.set(v, { shape: evalShape(v.shape, {}), data: Float64Array.from(v.data ?? []) });
    for (const v of graph.inputs.values()) values.set(v, feed(v, inputs[v.name], bindings));
    const pause = timeSlices();
    for (const node of graph.nodes) {
      throwIfAborted(signal);
      const outputs = runReference(node, values, bindings);
      for (const [name, value] of Object.entries(node.outputs))
        if (value.state !== undefined) this.#states.set(value.state, outputs[name] as RefTensor);
      await pause();
    }
    return Object.fromEntries(
      [...graph.outputs].map(([name, v]) => [name, toTensor(v, values.get(v) as RefTensor)]),
    );
  }

  dispose(): Promise<void> {
    this.#params.clear();
    this.#states.clear();
    return Promise.resolve();
  }
}

/** The numbers of a parameter to which the graph gives a narrower type than its file does. */
function converted(info: ParamInfo, { dtype, shape }: Value, data: Float64Array): Float64Array {
  if (dtype !== 'q8') return data.map((x) => roundTo(dtype, x));
  const k = Number(shape[1]);
  const rounded = roundToQ8(data, k);
  const bad = rounded.findIndex(Number.isNaN);
  if (bad >= 0) throw scaleError(info, Math.floor(bad / k));
  return rounded;
}

function feed(value: Value, data: RunData | undefined, bindings: Bindings): RefTensor {
  const shape = evalShape(value.shape, bindings);
  if (data?.length !== elementCount(shape)) {
    throw new InvalidArgumentError(
      `input "${value.name}": expected ${elementCount(shape)} numbers for [${shape.join(',')}], got ${data?.length ?? 'nothing'}`,
    );
  }
  return { shape, data: Float64Array.from(data) };
}
