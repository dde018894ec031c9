import { createHash } from 'node:crypto';
import { throwIfAborted } from '../errors.js';
import type { Graph } from '../ir/graph.js';
import { evalShape } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { type LoweredGraph, lowerGraph } from '../onnx/lower_graph.js';
import { elementCount, type Tensor } from '../tensor.js';
import type { ParamSource } from '../weights/param_source.js';
import { burstLoop } from './burst_loop.js';
import { defaultThreads } from './default_threads.js';
import type { CompileOptions, Executable, Executor, RunRequest, Session } from './executor.js';
import { feed } from './feed.js';
import type { OnnxProgram } from './onnx_messages.js';
import { loadOnnxruntime, onnxruntimeVersion } from './onnx_runtime.js';
import { OnnxThread } from './onnx_thread.js';
import { orAborted } from './or_aborted.js';
import { StoredParams } from './stored_params.js';

/**
 * The executor that runs graphs as ONNX on onnxruntime-node, each model in a thread of its own. Throws DeviceUnavailableError
 * saying what would help if that package is missing or does not load.
 */
export function onnxExecutor(options: { readonly threads?: number | undefined } = {}): Executor {
  loadOnnxruntime();
  const threads = options.threads ?? defaultThreads();
  return {
    device: 'onnx',
    isa: `onnxruntime ${onnxruntimeVersion()}`,
    open: (params) => new OnnxSession(params, threads),
  };
}

class OnnxSession implements Session {
  readonly #params: StoredParams;
  readonly #thread: OnnxThread;
  /** Index of the thread's session by its model: graphs that differ only in what comes after ONNX share one. */
  readonly #sessions = new Map<string, number>();
  /** Bytes of parameters and states by name. */
  readonly #held = new Map<string, number>();
  #programs = 0;
  #loading = false;

  constructor(source: ParamSource, threads: number) {
    this.#params = new StoredParams(source);
    this.#thread = new OnnxThread(threads);
  }

  /** What the graphs name, as f32: onnxruntime does not tell what it holds. */
  get bytes(): number {
    return [...this.#held.values()].reduce((a, b) => a + b, 0);
  }

  async compile(graph: Graph, { signal, onProgress }: CompileOptions = {}): Promise<Executable> {
    throwIfAborted(signal);
    await this.#params.locate([...graph.params.keys()]);
    const lowered = lowerGraph(graph, { param: (value) => this.#params.stored(value) });
    const total = [...graph.params.keys()].reduce((n, name) => n + this.#params.bytes(name), 0);
    onProgress?.(0, total);
    const program = await this.#load(graph, lowered, signal);
    onProgress?.(total, total);
    for (const { name, shape } of [...graph.params.values(), ...graph.states.values()])
      this.#held.set(name, elementCount(evalShape(shape, {})) * 4);
    const inputs = [...graph.inputs.values()];
    let ended = false;
    const run = (request: RunRequest) => this.#run(program, inputs, request);
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

  /** Makes the thread's session and program. An abort is answered at once, though onnxruntime reads on to the end. */
  async #load(graph: Graph, lowered: LoweredGraph, signal: AbortSignal | undefined): Promise<number> {
    // Imported when it is wanted: the protobuf library would slow every start down.
    const { encodeModel } = await import('../onnx/encode_model.js');
    // A graph that is all rest gives ONNX nothing to do.
    const model = lowered.model.outputs.length > 0 ? encodeModel(lowered.model) : new Uint8Array();
    const key = createHash('sha256').update(model).digest('hex');
    const known = this.#sessions.get(key);
    const session = known ?? this.#sessions.size;
    const program = this.#programs++;
    this.#sessions.set(key, session);
    this.#loading = true;
    const done = this.#thread.ask({
      kind: 'compile',
      program,
      plan: programOf(graph, lowered),
      session,
      folder: this.#params.folder,
      ...(known === undefined ? { model } : {}),
    });
    const loaded = done.finally(() => {
      this.#loading = false;
    });
    try {
      await orAborted(loaded, signal);
    } catch (error) {
      if (known === undefined) this.#sessions.delete(key);
      throw error;
    }
    return program;
  }

  async #run(
    program: number,
    inputs: readonly Value[],
    { inputs: given, bindings, signal }: RunRequest,
  ): Promise<Readonly<Record<string, Tensor>>> {
    throwIfAborted(signal);
    const fed = Object.fromEntries(inputs.map((v) => [v.name, feed(v, given[v.name], bindings)]));
    const outputs = await this.#thread.ask({ kind: 'run', program, inputs: fed, bindings });
    throwIfAborted(signal);
    return outputs;
  }

  async dispose(): Promise<void> {
    const closed = this.#thread.close();
    // Of a load that was aborted nobody waits for the end; the process does, as the thread must not end inside onnxruntime.
    if (!this.#loading) await closed;
  }
}

function programOf(graph: Graph, { model, rest, fetched, outputs, writes }: LoweredGraph): OnnxProgram {
  const named = new Set(model.inputs.map(({ name }) => name));
  return {
    inputs: [...graph.inputs.values()].filter(({ name }) => named.has(name)),
    states: model.inputs
      .filter(({ name }) => graph.states.has(name))
      .map(({ name, shape }) => ({ name, shape: shape as number[] })),
    fetched,
    rest,
    outputs,
    writes,
  };
}
