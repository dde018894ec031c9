import { constants } from 'node:buffer';
import { readFile } from 'node:fs/promises';
import { abortError, InvalidArgumentError } from '../errors.js';
import { type EvaluateResult, evaluateText } from '../generate/evaluate_text.js';
import type { LoadFlags } from './load_flags.js';
import { loadModel } from './load_model.js';
import { terminalProgress } from './progress.js';
import { print } from './terminal.js';

export interface EvalFlags extends LoadFlags {
  readonly text: string;
  readonly json?: boolean;
}

/** Runs `triga eval`. */
export async function runEval(
  source: string | undefined,
  { text: path, json, ...flags }: EvalFlags,
  signal: AbortSignal,
): Promise<void> {
  // Before the model, which takes longer to load than a file to be wrong.
  const text = await readTextFile(path, signal);
  const model = await loadModel(source, flags, signal);
  const progress = terminalProgress();
  let result: EvaluateResult;
  try {
    result = await evaluateText(model, text, {
      signal,
      onProgress: ({ done, total }) => progress.update('Evaluating', done, total),
    });
  } finally {
    progress.clear();
    await model.dispose();
  }
  await print(`${json ? JSON.stringify(result, null, 2) : line(result)}\n`, signal);
}

const line = ({ perplexity, bitsPerByte, tokens, bytes }: EvaluateResult): string =>
  `perplexity ${perplexity.toFixed(3)}, ${bitsPerByte.toFixed(4)} bits per byte ` +
  `(${tokens.toLocaleString('en-US')} tokens, ${bytes.toLocaleString('en-US')} bytes)`;

/** A file's text, all of its bytes. Rejects with InvalidArgumentError if it cannot be read, is empty or no UTF-8. */
async function readTextFile(path: string, signal: AbortSignal): Promise<string> {
  const expected = (got: string, cause?: unknown): InvalidArgumentError =>
    new InvalidArgumentError(
      `${path}: expected a text file, got ${got}`,
      cause === undefined ? {} : { cause },
    );
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path, { signal });
  } catch (cause) {
    if (signal.aborted) throw abortError(signal.reason);
    throw expected((cause as NodeJS.ErrnoException).code ?? String(cause), cause);
  }
  if (bytes.length === 0) throw expected('an empty one');
  if (bytes.length > constants.MAX_STRING_LENGTH)
    throw expected(
      `${bytes.length} bytes, more than the ${constants.MAX_STRING_LENGTH} of a string: split it`,
    );
  try {
    // A byte-order mark counts, as do all bytes.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw expected('bytes that are no UTF-8', cause);
  }
}
