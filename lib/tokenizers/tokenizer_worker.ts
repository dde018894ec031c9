import { Worker } from 'node:worker_threads';
import {
  abortError,
  InvalidArgumentError,
  OutOfMemoryError,
  throwIfAborted,
  UnsupportedError,
} from '../errors.js';
import { errorOf } from './failure.js';
import type { TokenizerManifest, WorkerCall, WorkerMessage, WorkerRequest } from './messages.js';

interface Pending {
  resolve(value: Uint32Array | string): void;
  reject(error: Error): void;
}

/** The compiled worker, which lib/ and dist/ reach by the same path. */
const script = new URL('../../dist/tokenizers/worker.js', import.meta.url);

/**
 * The thread that holds one vocabulary: one a tokenizer, so that loading never holds up another model's stream, and
 * ending it frees the memory at once. It keeps the process alive only while a call is pending. Calls made in the same
 * turn of the event loop travel in one message.
 */
export class TokenizerWorker {
  readonly #worker: Worker;
  /** Settles when the thread has loaded its modules: Node leaves their files open if it is ended before. */
  readonly #running: Promise<unknown>;
  readonly #pending = new Map<number, Pending>();
  #outbox: WorkerRequest[] = [];
  #lastCall = 0;
  #ended: (() => Error) | undefined;

  private constructor(worker: Worker) {
    this.#worker = worker;
    this.#running = new Promise((resolve) => worker.once('message', resolve).once('exit', resolve));
  }

  /** Starts a worker on `directory`/tokenizer.json. Ends it again if that fails or `signal` aborts. */
  static async start(
    directory: string,
    signal?: AbortSignal,
  ): Promise<{ worker: TokenizerWorker; manifest: TokenizerManifest }> {
    throwIfAborted(signal);
    const thread = new Worker(script, { name: 'triga-tokenizer', workerData: { directory }, execArgv: [] });
    const worker = new TokenizerWorker(thread);
    let abort = () => {};
    try {
      const manifest = await new Promise<TokenizerManifest>((resolve, reject) => {
        abort = () => reject(abortError(signal?.reason));
        signal?.addEventListener('abort', abort, { once: true });
        thread.on('message', (message: WorkerMessage) => {
          if ('running' in message) return;
          if ('ready' in message) resolve(message.ready);
          else if ('failed' in message) reject(errorOf(message.failed));
          else worker.#receive(message);
        });
        const fail = (makeError: () => Error) => {
          worker.#end(makeError);
          reject(makeError());
        };
        thread.on('error', (cause) => fail(() => crashError(cause)));
        thread.on('exit', (code) => fail(() => crashError(new Error(`exit code ${code}`))));
      });
      worker.#refresh();
      return { worker, manifest };
    } catch (error) {
      worker.dispose();
      throw error;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  call(request: WorkerCall, signal?: AbortSignal): Promise<Uint32Array | string> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) return reject(this.#ended());
      if (signal?.aborted) return reject(abortError(signal.reason));
      const call = ++this.#lastCall;
      const abort = () => this.#take(call)?.reject(abortError(signal?.reason));
      const settled = () => signal?.removeEventListener('abort', abort);
      signal?.addEventListener('abort', abort, { once: true });
      this.#pending.set(call, {
        resolve(value) {
          settled();
          resolve(value);
        },
        reject(error) {
          settled();
          reject(error);
        },
      });
      this.#outbox.push({ ...request, call });
      if (this.#outbox.length === 1) queueMicrotask(() => this.#flush());
      if (this.#pending.size === 1) this.#refresh();
    });
  }

  throwIfEnded(): void {
    if (this.#ended !== undefined) throw this.#ended();
  }

  /** Idempotent. Pending and later calls reject with `InvalidArgumentError`. */
  dispose(): void {
    this.#end(() => new InvalidArgumentError('tokenizer: expected a live tokenizer, got a disposed one'));
    this.#worker.unref();
    void this.#running.then(() => this.#worker.terminate());
  }

  #flush(): void {
    const requests = this.#outbox;
    this.#outbox = [];
    if (this.#ended === undefined) this.#worker.postMessage(requests);
  }

  #receive({ replies }: Extract<WorkerMessage, { replies: unknown }>): void {
    for (const reply of replies) {
      const pending = this.#take(reply.call);
      if ('value' in reply) pending?.resolve(reply.value);
      else pending?.reject(errorOf(reply.failure));
    }
  }

  #take(call: number): Pending | undefined {
    const pending = this.#pending.get(call);
    this.#pending.delete(call);
    if (this.#pending.size === 0) this.#refresh();
    return pending;
  }

  #refresh(): void {
    if (this.#pending.size > 0) this.#worker.ref();
    else this.#worker.unref();
  }

  #end(makeError: () => Error): void {
    if (this.#ended !== undefined) return;
    this.#ended = makeError;
    for (const pending of this.#pending.values()) pending.reject(makeError());
    this.#pending.clear();
  }
}

function crashError(cause: Error): Error {
  if ((cause as NodeJS.ErrnoException).code === 'ERR_WORKER_OUT_OF_MEMORY') {
    return new OutOfMemoryError(`tokenizer: its thread ran out of memory: ${cause.message}`, { cause });
  }
  return new UnsupportedError(
    `tokenizer: its thread ended: ${cause.message}; is ${script.pathname} there (npm run build)?`,
    { cause },
  );
}
