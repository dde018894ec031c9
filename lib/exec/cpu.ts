import type { DType } from '../dtype.js';
import { abortError, throwIfAborted, UnsupportedError } from '../errors.js';
import type { Graph } from '../ir/graph.js';
import { type Bindings, evalDim, evalShape, ShapeError } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { decompose } from '../passes/decompose.js';
import { passByPass } from '../passes/pipeline.js';
import { bucketsOf } from '../plan/buckets.js';
import { encodePlans, type Plan, paramKey } from '../plan/encode.js';
import type { KernelCall, ParamRequest } from '../plan/kernel_call.js';
import { ownOutputs } from '../plan/own_outputs.js';
import { elementCount, type RunData, runArray, type Tensor } from '../tensor.js';
import { type ParamInfo, type ParamSource, storedBytes, storedType } from '../weights/param_source.js';
import {
  type Binding,
  loadBinding,
  type NativeBurst,
  type NativeParam,
  type NativeParamPart,
  type NativeSession,
} from './binding.js';
import { cpuExclusions, cpuLowerings } from './cpu_lowering.js';
import type {
  Burst,
  CompileOptions,
  Executable,
  Executor,
  RunRequest,
  Session,
  StateMemory,
} from './executor.js';
import { feed } from './feed.js';
import { chooseIsa } from './isa.js';
import type { CpuTraits, Prepared } from './lowering.js';
import { timeSlices } from './time_slices.js';

export interface CpuOptions {
  /** Instruction set; left out: the best that the machine has, or TRIGA_ISA. */
  readonly isa?: string | undefined;
  /** Left out: the physical cores within affinity and quota. */
  readonly threads?: number | undefined;
}

/** Bytes read between two progress reports. */
const batchBytes = 64 * 2 ** 20;

/** The addon's executor. Throws DeviceUnavailableError if the addon does not load, and what {@link chooseIsa} throws. */
export function cpuExecutor(options: CpuOptions = {}): Executor {
  const binding = loadBinding();
  const isa = chooseIsa(binding.isas, options.isa);
  const threads = options.threads ?? binding.defaultThreads;
  return { device: 'cpu', isa, open: (params) => new CpuSession(binding, params, isa, threads) };
}

/** What an instruction set means for the graphs that run on it. */
export const cpuTraits = (isa: string): CpuTraits => ({
  bf16Dot: isa === 'avx512_bf16' || isa === 'avx512_amx',
});

/** The steps of a graph: fused, decomposed to what the CPU has kernels for, lowered; other events get their turns in between. */
export async function lowerForCpu(
  graph: Graph,
  traits: CpuTraits,
  pause: () => Promise<void> = timeSlices(),
): Promise<{ graph: Graph; calls: KernelCall[] }> {
  let fused = graph;
  for (const after of passByPass(graph)) {
    fused = after.graph;
    await pause();
  }
  const lowered = ownOutputs(decompose(fused, (node) => Object.hasOwn(cpuLowerings, node.op)));
  await pause();
  let count = 0;
  const room = (dtype: DType, shape: Value['shape']): Value => ({
    id: --count,
    kind: 'node',
    name: 'room',
    dtype,
    shape,
  });
  const rooms = new Map<Value, Map<string, Value>>();
  const prepared = (operand: Value, form: string, shape: Value['shape']): Prepared => {
    const ofOperand = rooms.get(operand) ?? new Map<string, Value>();
    rooms.set(operand, ofOperand);
    const known = ofOperand.get(form);
    if (known) return { room: known, filled: true };
    const made = room('f32', shape);
    ofOperand.set(form, made);
    return { room: made, filled: false };
  };
  const calls = lowered.nodes.flatMap((node) => {
    const lower = cpuLowerings[node.op];
    if (!lower) {
      const why = cpuExclusions[node.op] ?? 'it has none yet';
      throw new UnsupportedError(`cpu: no kernel for the op "${node.op}": ${why}`);
    }
    return lower({ node, room, prepared, traits });
  });
  return { graph: lowered, calls };
}

class CpuSession implements Session {
  readonly #native: NativeSession;
  readonly #source: ParamSource;
  readonly #traits: CpuTraits;
  readonly #params = new Map<string, number>();
  readonly #states = new Map<string, number>();
  #running: Promise<unknown> = Promise.resolve();
  #disposal: Promise<void> | undefined;

  constructor(binding: Binding, source: ParamSource, isa: string, threads: number) {
    this.#native = new binding.Session(isa, threads);
    this.#source = source;
    this.#traits = cpuTraits(isa);
  }

  get bytes(): number {
    return this.#native.bytes;
  }

  readonly states: StateMemory = {
    read: (name, begin, into) => this.#native.copyState(this.#stateNamed(name), begin, into, false),
    write: (name, begin, from) => this.#native.copyState(this.#stateNamed(name), begin, from, true),
  };

  #stateNamed(name: string): number {
    this.#throwIfDisposed();
    const index = this.#states.get(name);
    if (index === undefined) throw new ShapeError(`no graph of this session has a state "${name}"`);
    return index;
  }

  async compile(graph: Graph, options: CompileOptions = {}): Promise<Executable> {
    const pause = timeSlices();
    const { graph: lowered, calls } = await lowerForCpu(graph, this.#traits, pause);
    await pause();
    const encoded = encodePlans(lowered, calls);
    this.#throwIfDisposed();
    await this.#load(encoded.params, options);
    for (const value of lowered.states.values()) {
      if (!this.#states.has(value.name)) {
        this.#states.set(value.name, this.#native.addState(elementCount(evalShape(value.shape, {})) * 4));
      }
    }
    const plans = new Map<string, { plan: Plan; index: number }>();
    const planFor = (bindings: Bindings): { plan: Plan; index: number } => {
      const capacities = bucketsOf(encoded.symbols, bindings, options.sides);
      const key = Object.values(capacities).join();
      const known = plans.get(key) ?? this.#plan(encoded.sizedFor(capacities));
      plans.set(key, known);
      return known;
    };
    for (const bindings of options.sizes ?? []) {
      await pause();
      this.#throwIfDisposed();
      planFor(bindings);
    }
    return {
      run: async (request) => await this.#run(planFor(request.bindings), request),
      burst: async (request, burst) => await this.#burst(planFor(request.bindings), request, burst),
      endBurst: () => this.#native.endBurst(),
      workspaceBytes: (bindings) => planFor(bindings).plan.arenaBytes,
    };
  }

  #plan(plan: Plan): { plan: Plan; index: number } {
    const params = plan.params.map((p) => this.#params.get(paramKey(p)) as number);
    const states = plan.states.map((s) => this.#states.get(s.name) as number);
    const native = { ...plan, inputs: plan.inputs.length, outputs: plan.outputs.length };
    return { plan, index: this.#native.addPlan(native, params, states) };
  }

  /** Loads what is not loaded yet, a batch at a time, so that progress can be told. */
  async #load(requests: readonly ParamRequest[], { signal, onProgress }: CompileOptions): Promise<void> {
    const wanted = requests.filter((r) => !this.#params.has(paramKey(r)));
    const total = wanted.reduce((n, r) => n + sourceBytes(r, this.#source), 0);
    let loaded = 0;
    for (let i = 0; i < wanted.length; ) {
      throwIfAborted(signal);
      const batch: ParamRequest[] = [];
      for (let bytes = 0; i < wanted.length && bytes < batchBytes; i++) {
        const request = wanted[i] as ParamRequest;
        batch.push(request);
        bytes += sourceBytes(request, this.#source);
      }
      const first = this.#params.size;
      await this.#job(() => this.#native.loadParams(batch.map((r) => toNative(r, this.#source))), signal);
      batch.forEach((r, k) => {
        this.#params.set(paramKey(r), first + k);
      });
      loaded += batch.reduce((n, r) => n + sourceBytes(r, this.#source), 0);
      onProgress?.(loaded, total);
    }
  }

  async #run(
    { plan, index }: { plan: Plan; index: number },
    request: RunRequest,
  ): Promise<Record<string, Tensor>> {
    throwIfAborted(request.signal);
    const slots = plan.slots.map((dim) => evalDim(dim, request.bindings));
    const inputs = plan.inputs.map((v) => feed(v, request.inputs[v.name], request.bindings));
    const outputs = plan.outputs.map(({ value }) => emptyTensor(value, request.bindings));
    await this.#job(
      () =>
        this.#native.run(
          index,
          slots,
          inputs,
          outputs.map((o) => o.data as RunData),
        ),
      request.signal,
    );
    return Object.fromEntries(plan.outputs.map(({ name }, i) => [name, outputs[i] as Tensor]));
  }

  async #burst(
    { plan, index }: { plan: Plan; index: number },
    request: RunRequest,
    burst: Burst,
  ): Promise<void> {
    throwIfAborted(request.signal);
    const slots = plan.slots.map((dim) => evalDim(dim, request.bindings));
    const inputs = plan.inputs.map((v) => feed(v, request.inputs[v.name], request.bindings));
    const outputs = plan.outputs.map(({ value }) => emptyTensor(value, request.bindings, burst.steps));
    const tell = (done: number): void => {
      const ofRun = (t: Tensor): Tensor => {
        const [, ...shape] = t.shape;
        const size = elementCount(shape);
        return { dtype: t.dtype, shape, data: t.data.subarray((done - 1) * size, done * size) };
      };
      burst.onStep(
        Object.fromEntries(plan.outputs.map(({ name }, i) => [name, ofRun(outputs[i] as Tensor)])),
      );
    };
    const data = outputs.map((o) => o.data as RunData);
    await this.#job(
      () => this.#native.run(index, slots, inputs, data, toNativeBurst(plan, burst), tell),
      request.signal,
    );
  }

  /** Runs a native job that an abort of `signal` cancels. */
  async #job(start: () => Promise<void>, signal: AbortSignal | undefined): Promise<void> {
    this.#throwIfDisposed();
    const cancel = (): void => this.#native.cancel();
    signal?.addEventListener('abort', cancel, { once: true });
    const job = start();
    this.#running = job.catch(() => undefined);
    try {
      await job;
    } catch (error) {
      throw error instanceof Error && error.name === 'AbortError' ? abortError(signal?.reason) : error;
    } finally {
      signal?.removeEventListener('abort', cancel);
    }
  }

  #throwIfDisposed(): void {
    if (this.#disposal) throw abortError('the model was disposed');
  }

  dispose(): Promise<void> {
    this.#disposal ??= this.#end();
    return this.#disposal;
  }

  async #end(): Promise<void> {
    this.#native.cancel();
    await this.#running;
    if (this.#native.bytes > 0) await this.#native.dispose();
  }
}

function toNativeBurst(plan: Plan, burst: Burst): NativeBurst {
  const input = (name: string): number => plan.inputs.findIndex((v) => v.name === name);
  return {
    steps: burst.steps,
    ids: plan.outputs.findIndex((o) => o.name === burst.ids),
    tokens: input(burst.tokens),
    slots: input(burst.slots),
    positions: input(burst.positions),
    tables: input(burst.tables),
    counters: burst.counters.map((c) => [input(c.input), c.first, c.stride] as const),
    stops: burst.stops,
  };
}

/** Room for an output; for a burst, with an axis of its runs in front. */
function emptyTensor(value: Value, bindings: Bindings, runs?: number): Tensor {
  const shape = [...(runs === undefined ? [] : [runs]), ...evalShape(value.shape, bindings)];
  return { dtype: value.dtype, shape, data: runArray(value.dtype, elementCount(shape)) };
}

function paramInfo(source: ParamSource, value: Value): ParamInfo {
  const info = source.get(value.name);
  if (!info) throw new UnsupportedError(`parameter "${value.name}" is not in the checkpoint`);
  return info;
}

function sourceBytes(request: ParamRequest, source: ParamSource): number {
  return request.parts.reduce<number>(
    (n, p) => n + (typeof p !== 'number' && p.kind === 'param' ? storedBytes(paramInfo(source, p)) : 0),
    0,
  );
}

function toNative(request: ParamRequest, source: ParamSource): NativeParam {
  const first = request.parts.find((p) => typeof p !== 'number') as Value;
  const vector = request.layout === 'vector';
  const k = vector ? elementCount(evalShape(first.shape.slice(1), {})) : Number(first.shape[1]);
  const dtype = vector && first.dtype !== 'i32' ? 'f32' : first.dtype;
  return {
    layout: request.layout,
    gated: request.gated,
    dtype,
    parts: request.parts.map((p) =>
      typeof p === 'number' ? { n: p, k, dtype: 'f32', transposed: false } : toPart(p, k, source),
    ),
  };
}

function toPart(value: Value, k: number, source: ParamSource): NativeParamPart {
  const shape = { n: Number(value.shape[0] ?? 1), k };
  if (value.kind === 'const') {
    const data =
      value.dtype === 'i32' ? Int32Array.from(value.data ?? []) : Float32Array.from(value.data ?? []);
    return { ...shape, dtype: value.dtype, transposed: false, data };
  }
  const info = paramInfo(source, value);
  const { name, file, offset, scales, data } = info;
  const dtype = storedType(info);
  if (!['f32', 'f16', 'bf16', 'q8'].includes(dtype))
    throw new UnsupportedError(
      `${file}: tensor "${name}": expected f32, f16, bf16 or q8, got ${dtype}, which the cpu does not compute with`,
    );
  if (data) return { ...shape, name, dtype: 'f32', transposed: false, data };
  const part = { ...shape, name, dtype, transposed: info.transposed ?? false, file, offset };
  return scales ? { ...part, scales: { file: scales.file, offset: scales.offset } } : part;
}
