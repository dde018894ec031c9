import { throwIfAborted } from '../errors.js';
import type { Executable } from '../exec/executor.js';
import type { RopeFrequencies } from '../nn/rope_frequencies.js';
import type { Tensor } from '../tensor.js';
import { blocksFor } from './kv_pool.js';
import type { ModelRuntime } from './model_runtime.js';
import { Sequence } from './sequence.js';
import { packStep } from './step.js';

export type ForwardOutput = 'logits' | 'logprobs' | 'hidden' | 'encoded';

export interface ForwardPass {
  readonly runtime: ModelRuntime;
  readonly rope: RopeFrequencies | undefined;
  readonly vocabSize: number;
  readonly ids: readonly number[];
  /** The encoder's ids, if the model has one; `ids` are then the decoder's. */
  readonly source?: readonly number[] | undefined;
  readonly output: ForwardOutput;
}

export interface ForwardOptions {
  /** For `logprobs`: position p's output is the log-probability of targets[p + 1]; outputs begin with that of targets[from]. */
  readonly targets?: readonly number[];
  readonly from?: number;
  readonly signal?: AbortSignal | undefined;
}

/** Rows of a step. */
const maxRows = 512;
/** Logits of a step, in numbers: of a large vocabulary few rows are many. */
const maxLogits = 2 ** 23;

/**
 * Runs `ids` through one of a model's graphs, as a sequence of their own in the KV pool: outputs of consecutive chunks, one of each
 * step. The caller has the model for itself. Rejects with AbortError within one step of an abort.
 */
export async function forwardPass(
  pass: ForwardPass,
  { targets, from = 1, signal }: ForwardOptions,
): Promise<Readonly<Record<string, Tensor>>[]> {
  throwIfAborted(signal);
  const { runtime, rope, vocabSize, ids, output } = pass;
  const executable = await runtime.executable(output, { signal });
  const encoder = pass.source && (await runtime.executable('encode', { signal }));
  runtime.pool.reserve(blocksOf(pass));
  const source = pass.source && new Sequence(runtime.pool, pass.source, pass.source.length);
  const sequence = new Sequence(runtime.pool, ids, ids.length, { source });
  source?.grow(source.pending);
  sequence.grow(ids.length);
  const mostWanted = Math.min(maxRows, Math.max(1, Math.floor(maxLogits / vocabSize)));
  const parts: Readonly<Record<string, Tensor>>[] = [];
  try {
    if (source) await runWhole(encoder as Executable, source, signal);
    if (output === 'encoded') return [await runWhole(executable, sequence, signal)];
    while (sequence.pending > 0) {
      const at = sequence.computed;
      const unwanted = Math.min(from - 1 - at, maxRows);
      const rows = unwanted > 0 ? unwanted : Math.min(sequence.pending, mostWanted);
      const wanted = unwanted > 0 ? [] : Array.from({ length: rows }, (_, i) => i);
      const request = packStep([{ sequence, rows }], wanted, rope);
      const cells = targets && wanted.map((r) => r * vocabSize + (targets[at + r + 1] as number));
      const inputs = cells ? { ...request.inputs, cells: Int32Array.from(cells) } : request.inputs;
      parts.push(await executable.run({ ...request, inputs, signal }));
      sequence.advance(rows);
    }
  } finally {
    sequence.release();
    source?.release();
  }
  return parts;
}

/** Blocks of the KV pool that a pass takes. */
export const blocksOf = ({ ids, source }: Pick<ForwardPass, 'ids' | 'source'>): number =>
  blocksFor(ids.length) + blocksFor(source?.length ?? 0);

/** One run over all of a sequence, as an encoder wants it. */
async function runWhole(
  executable: Executable,
  sequence: Sequence,
  signal: AbortSignal | undefined,
): Promise<Readonly<Record<string, Tensor>>> {
  const rows = sequence.pending;
  const outputs = await executable.run({ ...packStep([{ sequence, rows }], [], undefined), signal });
  sequence.advance(rows);
  return outputs;
}
