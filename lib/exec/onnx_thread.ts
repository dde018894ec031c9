import { Worker } from 'node:worker_threads';
import {
  DeviceUnavailableError,
  InvalidArgumentError,
  ModelFormatError,
  OutOfMemoryError,
  UnsupportedError,
} from '../errors.js';
import type { Tensor } from '../tensor.js';
import {
  control,
  type OnnxFailure,
  type OnnxReply,
  type OnnxRequest,
  type OnnxWorkerStart,
} from './onnx_messages.js';

type Outputs = Readonly<Record<string, Tensor>>;

interface Pending {
  resolve(outputs: Outputs): void;
  reject(error: Error): void;
}

/** The compiled worker, which lib/ and dist/ reach by the same path. */
const script = new URL('../../dist/exec/onnx_worker.js', import.meta.url);

/** Threads that live, by their control arrays. */
const living = new Set<Int32Array>();

/** At the process's end: keeps threads out of onnxruntime, and waits for those that are inside. */
function drain(): void {
  for (const array of living) Atomics.store(array, control.closing, 1);
  for (const array of living)
    while (Atomics.load(array, control.busy) === 1) Atomics.wait(array, control.busy, 1, 100);
}

/**
 * The thread that holds one model's ONNX sessions: onnxruntime blocks the thread that calls it, and neither that thread nor the
 * process may end meanwhile. It keeps the process alive only while it is asked something.
 */
export class OnnxThread {
  readonly #control = new Int32Array(new SharedArrayBuffer(8));
  readonly #worker: Worker;
  readonly #exit: Promise<void>;
  /** Requests without an answer, oldest first. */
  readonly #pending: Pending[] = [];
  #ended: (() => Error) | undefined;

  constructor(threads: number) {
    const workerData: OnnxWorkerStart = { control: this.#control, threads };
    this.#worker = new Worker(script, { name: 'triga-onnx', workerData, execArgv: [] });
    if (living.size === 0) process.on('exit', drain);
    living.add(this.#control);
    this.#worker.on('message', (reply: OnnxReply) => {
      const pending = this.#pending.shift();
      if (this.#pending.length === 0 && !this.#ended) this.#worker.unref();
      if ('outputs' in reply) pending?.resolve(reply.outputs);
      else pending?.reject(errorOf(reply.failure));
    });
    this.#worker.on('error', (cause) => this.#end(() => crashError(cause)));
    this.#exit = new Promise((resolve) => {
      this.#worker.on('exit', (code) => {
        living.delete(this.#control);
        if (living.size === 0) process.off('exit', drain);
        this.#end(() => crashError(new Error(`exit code ${code}`)));
        resolve();
      });
    });
    this.#worker.unref();
  }

  /** Requests are answered in order. Rejects as the worker says, or if it ends. */
  ask(request: OnnxRequest): Promise<Outputs> {
    return new Promise((resolve, reject) => {
      if (this.#ended) return reject(this.#ended());
      this.#pending.push({ resolve, reject });
      this.#worker.ref();
      this.#worker.postMessage(request);
    });
  }

  /** Ends the thread after what it is at, and resolves when it has ended. Later requests reject. */
  async close(): Promise<void> {
    if (!this.#ended) {
      this.#ended = () => new InvalidArgumentError('onnx: expected a live session, got a disposed one');
      this.#worker.ref();
      this.#worker.postMessage('close');
    }
    await this.#exit;
  }

  #end(makeError: () => Error): void {
    this.#ended ??= makeError;
    for (const pending of this.#pending.splice(0)) pending.reject(this.#ended());
  }
}

function errorOf({ type, message }: OnnxFailure): Error {
  switch (type) {
    case 'unavailable':
      return new DeviceUnavailableError(message);
    case 'memory':
      return new OutOfMemoryError(`onnx: onnxruntime ran out of memory: ${message}`);
    case 'model':
      return new ModelFormatError(`onnx: onnxruntime does not load the model: ${message}`);
    case 'internal':
      return new Error(`onnx: onnxruntime failed: ${message}`);
  }
}

function crashError(cause: Error): Error {
  return new UnsupportedError(
    `onnx: its thread ended: ${cause.message}; is ${script.pathname} there (npm run build)?`,
    { cause },
  );
}
