import { abortError, throwIfAborted } from '../errors.js';
import { BrokenPipeError, exitCodes } from './report.js';

/** Runs a verb with a signal that the first Ctrl-C aborts; the second ends the process at once. */
export async function interruptible(run: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const abort = new AbortController();
  const interrupt = (): void => {
    if (abort.signal.aborted) process.exit(exitCodes.interrupted);
    abort.abort();
  };
  process.on('SIGINT', interrupt);
  try {
    await run(abort.signal);
  } finally {
    process.off('SIGINT', interrupt);
  }
}

/**
 * Writes to stdout, and waits until its reader has it. Rejects with AbortError, with BrokenPipeError if the reader has left, or with
 * the error of the write.
 */
export function print(text: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    throwIfAborted(signal);
    const stop = (): void => reject(abortError());
    signal.addEventListener('abort', stop, { once: true });
    process.stdout.write(text, (error?: NodeJS.ErrnoException | null) => {
      signal.removeEventListener('abort', stop);
      if (!error) resolve();
      else reject(error.code === 'EPIPE' ? new BrokenPipeError() : error);
    });
  });
}

/** All of stdin as text, without the newline that ends it. Rejects with AbortError, or an Error if it is no UTF-8. */
export async function readStdin(signal: AbortSignal): Promise<string> {
  const { addAbortSignal } = await import('node:stream');
  const chunks: Uint8Array[] = [];
  for await (const chunk of addAbortSignal(signal, process.stdin)) chunks.push(chunk as Uint8Array);
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
    return text.replace(/\r?\n$/, '');
  } catch (cause) {
    throw new Error('stdin: expected UTF-8 text, got other bytes', { cause });
  }
}

/**
 * What a well-behaved command does with its streams: a failed write is whoever waits for it's to tell, and of warnings only our own
 * are shown, in a line, unless TRIGA_DEBUG asks for all.
 */
export function tameStreams(): void {
  process.stdout.on('error', () => {});
  process.stderr.on('error', () => {});
  process.removeAllListeners('warning');
  process.on('warning', (warning: Error & { readonly code?: string }) => {
    if (warning.code?.startsWith('TRIGA_') || process.env.TRIGA_DEBUG)
      process.stderr.write(`triga: ${warning.message.replace(/^triga /, '')}\n`);
  });
}
