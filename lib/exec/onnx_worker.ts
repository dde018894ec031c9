import { parentPort, workerData } from 'node:worker_threads';
import type * as Ort from 'onnxruntime-node';
import { DeviceUnavailableError } from '../errors.js';
import type { RefTensor } from '../ir/define_op.js';
import type { Bindings } from '../ir/shape.js';
import { evalShape } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import '../ops/sample.js';
import { elementCount, type RunData, type Tensor } from '../tensor.js';
import {
  control,
  type OnnxFailure,
  type OnnxProgram,
  type OnnxReply,
  type OnnxRequest,
  type OnnxWorkerStart,
} from './onnx_messages.js';
import { loadOnnxruntime } from './onnx_runtime.js';
import { runReference, toTensor } from './run_reference.js';

type Compile = Extract<OnnxRequest, { kind: 'compile' }>;
type Run = Extract<OnnxRequest, { kind: 'run' }>;

const start = workerData as OnnxWorkerStart;
const ort = loadOnnxruntime();
const sessions: Ort.InferenceSession[] = [];
const programs: { readonly plan: OnnxProgram; readonly session: Ort.InferenceSession | undefined }[] = [];
const states = new Map<string, Ort.Tensor>();

/** Runs what enters onnxruntime, unless the process is about to end: a thread or process that ends in there would crash. */
async function enter<T>(work: () => Promise<T>): Promise<T> {
  Atomics.store(start.control, control.busy, 1);
  try {
    if (Atomics.load(start.control, control.closing) === 1) await new Promise(() => {});
    return await work();
  } finally {
    Atomics.store(start.control, control.busy, 0);
    Atomics.notify(start.control, control.busy);
  }
}

async function compile({ program, plan, session, model, folder }: Compile): Promise<void> {
  for (const { name, shape } of plan.states) {
    if (states.has(name)) continue;
    states.set(name, new ort.Tensor('float32', new Float32Array(elementCount(shape)), [...shape]));
  }
  if (model && model.length > 0) {
    sessions[session] = await enter(() =>
      ort.InferenceSession.create(model, {
        intraOpNumThreads: start.threads,
        interOpNumThreads: 1,
        graphOptimizationLevel: 'all',
        logSeverityLevel: 4,
        extra: { session: { model_external_initializers_file_folder_path: folder } },
      }),
    );
  }
  programs[program] = { plan, session: sessions[session] };
}

async function run({ program, inputs, bindings }: Run): Promise<Record<string, Tensor>> {
  const { plan, session } = programs[program] as (typeof programs)[number];
  const feeds: Record<string, Ort.Tensor> = {};
  for (const { name } of plan.states) feeds[name] = states.get(name) as Ort.Tensor;
  for (const { name, shape } of plan.inputs)
    feeds[name] = toOrt(inputs[name] as RunData, evalShape(shape, bindings));
  const made = session ? await enter(() => session.run(feeds, { logSeverityLevel: 4 })) : {};
  for (const { state, rows, values } of plan.writes)
    writeRows(states.get(state) as Ort.Tensor, made[rows] as Ort.Tensor, made[values] as Ort.Tensor);
  return outputsOf(plan, made, inputs, bindings);
}

function toOrt(data: RunData, shape: readonly number[]): Ort.Tensor {
  if (data instanceof Int32Array) return new ort.Tensor('int32', data, shape);
  return data instanceof Int8Array
    ? new ort.Tensor('int8', data, shape)
    : new ort.Tensor('float32', data, shape);
}

/** Puts rows in their places; those below 0 have none. */
function writeRows(state: Ort.Tensor, rows: Ort.Tensor, values: Ort.Tensor): void {
  const [to, from] = [state.data as Float32Array, values.data as Float32Array];
  const width = from.length / rows.size;
  (rows.data as Int32Array).forEach((row, i) => {
    if (row >= 0) to.set(from.subarray(i * width, (i + 1) * width), row * width);
  });
}

/** The graph's outputs: what onnxruntime computed, and what the rest makes of it. */
function outputsOf(
  plan: OnnxProgram,
  made: Readonly<Record<string, Ort.Tensor>>,
  inputs: Run['inputs'],
  bindings: Bindings,
): Record<string, Tensor> {
  const given = (value: Value): RunData =>
    value.kind === 'input'
      ? (inputs[value.name] as RunData)
      : ((made[plan.fetched.get(value) ?? ''] as Ort.Tensor).data as RunData);
  const values = new Map<Value, RefTensor>();
  for (const node of plan.rest) {
    for (const value of Object.values(node.inputs).filter((v) => !values.has(v)))
      values.set(value, {
        shape: evalShape(value.shape, bindings),
        data: Float64Array.from(given(value)),
      });
    runReference(node, values, bindings);
  }
  const output = (value: Value): Tensor => {
    const late = values.get(value);
    if (late) return toTensor(value, late);
    return { dtype: value.dtype, shape: evalShape(value.shape, bindings), data: given(value) };
  };
  return Object.fromEntries([...plan.outputs].map(([name, value]) => [name, output(value)]));
}

async function answer(request: OnnxRequest): Promise<OnnxReply> {
  try {
    if (request.kind === 'run') return { outputs: await run(request) };
    await compile(request);
    return { outputs: {} };
  } catch (error) {
    return { failure: failureOf(error, request.kind) };
  }
}

function failureOf(error: unknown, kind: OnnxRequest['kind']): OnnxFailure {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof DeviceUnavailableError) return { type: 'unavailable', message };
  if (error instanceof RangeError || /bad_alloc|failed to allocate|out of memory/i.test(message))
    return { type: 'memory', message };
  return { type: kind === 'compile' ? 'model' : 'internal', message };
}

/** Requests are answered one after the other. */
let last: Promise<void> = Promise.resolve();
parentPort?.on('message', (request: OnnxRequest | 'close') => {
  last = last.then(() => (request === 'close' ? close() : reply(request)));
});

async function reply(request: OnnxRequest): Promise<void> {
  const result = await answer(request);
  const buffers = 'outputs' in result ? Object.values(result.outputs).map(({ data }) => data.buffer) : [];
  parentPort?.postMessage(result, [...new Set(buffers)] as ArrayBuffer[]);
}

async function close(): Promise<void> {
  for (const session of sessions) await enter(() => session.release());
  parentPort?.close();
}
