import { Worker } from 'node:worker_threads';
import { OutOfMemoryError, throwIfAborted, UnsupportedError } from '../errors.js';
import { errorOf } from '../tokenizers/failure.js';
import type { CleanedBatch, DocumentReply, DocumentWorkerStart } from './document_messages.js';
import type { DocumentBatch } from './read_batches.js';

/** The compiled worker, which lib/ and dist/ reach by the same path. */
const script = new URL('../../dist/data/document_worker.js', import.meta.url);
/** Batches that each worker has before it, so that it never waits for the next. */
const ahead = 2;

export interface DocumentPoolOptions extends DocumentWorkerStart {
  readonly threads: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * Cleans batches, and encodes them where there is a tokenizer, in worker threads, and yields them in their order, so that what comes
 * out does not depend on the number of threads. Memory is bounded: a few batches for each worker. Throws what a worker did, or
 * AbortError.
 */
export async function* cleanBatches(
  batches: AsyncIterable<DocumentBatch>,
  { threads, signal, ...start }: DocumentPoolOptions,
): AsyncGenerator<{ readonly batch: DocumentBatch; readonly cleaned: CleanedBatch }> {
  const workers = Array.from({ length: threads }, () => new DocumentWorker(start));
  const pending: { batch: DocumentBatch; cleaned: Promise<CleanedBatch> }[] = [];
  const next = async (): Promise<{ batch: DocumentBatch; cleaned: CleanedBatch }> => {
    const { batch, cleaned } = pending.shift() as (typeof pending)[number];
    return { batch, cleaned: await cleaned };
  };
  try {
    for await (const batch of batches) {
      throwIfAborted(signal);
      const worker = workers.reduce((least, other) => (other.waiting < least.waiting ? other : least));
      const cleaned = worker.clean(batch);
      // Whoever waits for it hears of a failure; until then it is nobody's.
      cleaned.catch(() => {});
      pending.push({ batch, cleaned });
      if (pending.length >= ahead * threads) yield await next();
    }
    while (pending.length > 0) {
      throwIfAborted(signal);
      yield await next();
    }
  } finally {
    await Promise.all(workers.map((worker) => worker.end()));
  }
}

/** One thread, which answers in the order of its batches. */
class DocumentWorker {
  readonly #thread: Worker;
  readonly #calls: { resolve(cleaned: CleanedBatch): void; reject(error: Error): void }[] = [];

  constructor(start: DocumentWorkerStart) {
    this.#thread = new Worker(script, { name: 'triga-documents', workerData: start, execArgv: [] });
    this.#thread.on('message', (reply: DocumentReply) => {
      const call = this.#calls.shift();
      if ('cleaned' in reply) call?.resolve(reply.cleaned);
      else call?.reject(errorOf(reply.failed));
    });
    this.#thread.on('error', (cause) => this.#fail(crashError(cause)));
    this.#thread.on('exit', (code) => this.#fail(crashError(new Error(`exit code ${code}`))));
  }

  get waiting(): number {
    return this.#calls.length;
  }

  clean({ format, bytes, ends }: DocumentBatch): Promise<CleanedBatch> {
    return new Promise((resolve, reject) => {
      this.#calls.push({ resolve, reject });
      this.#thread.postMessage({ format, bytes, ends });
    });
  }

  async end(): Promise<void> {
    await this.#thread.terminate();
    this.#calls.length = 0;
  }

  #fail(error: Error): void {
    for (const call of this.#calls.splice(0)) call.reject(error);
  }
}

function crashError(cause: Error): Error {
  if ((cause as NodeJS.ErrnoException).code === 'ERR_WORKER_OUT_OF_MEMORY')
    return new OutOfMemoryError(
      `data: a worker ran out of memory: ${cause.message}; give a smaller maxDocumentBytes`,
      { cause },
    );
  return new UnsupportedError(
    `data: a worker ended: ${cause.message}; is ${script.pathname} there (npm run build)?`,
    { cause },
  );
}
