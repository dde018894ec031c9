import { InvalidArgumentError } from '../errors.js';
import { processScores } from '../ops/sampling/processors.js';
import { sampleMode } from '../ops/sampling/row.js';
import { warpScores } from '../ops/sampling/warpers.js';
import type { Tensor } from '../tensor.js';
import { noDefaults } from './generation_config.js';
import { type GenerateOptions, resolveOptions } from './options.js';
import { sampleRow } from './sample_row.js';

/** One row of scores [V], or several [N, V]. */
export type Scores =
  | ArrayLike<number>
  | readonly ArrayLike<number>[]
  | { readonly shape: readonly number[]; readonly data: ArrayLike<number> };

export interface ProcessOptions extends GenerateOptions {
  /** How many of the ids are the prompt; left out: all, the step that chooses the first new token. */
  readonly promptLength?: number | undefined;
  /** The encoder's ids; left out: the prompt. */
  readonly encoderIds?: readonly number[] | undefined;
}

function toTensor(scores: Scores): { shape: number[]; data: Float64Array } {
  if (!('length' in scores)) return { shape: [...scores.shape], data: Float64Array.from(scores.data) };
  const first = scores[0];
  if (typeof first === 'number' || first === undefined) {
    return { shape: [scores.length], data: Float64Array.from(scores as ArrayLike<number>) };
  }
  const rows = scores as readonly ArrayLike<number>[];
  return {
    shape: [rows.length, first.length],
    data: Float64Array.from(rows.flatMap((row) => Array.from(row))),
  };
}

/**
 * Scores after the logits processors that `options` name, and after the warpers where they mean sampling: what a token would be
 * chosen by. ids: the sequence so far, a row or several; scores f32 [V] or [N, V] → f32 of the same shape, −∞ for what is removed.
 */
export function processLogits(
  ids: readonly number[] | readonly (readonly number[])[],
  scores: Scores,
  options: ProcessOptions = {},
): Tensor {
  const { promptLength, encoderIds, ...call } = options;
  const rows = (Array.isArray(ids[0]) ? ids : [ids]) as readonly (readonly number[])[];
  const { shape, data } = toTensor(scores);
  const vocabSize = shape.at(-1) ?? 0;
  if (shape.length > 2 || data.length !== rows.length * vocabSize) {
    throw new InvalidArgumentError(
      `processLogits: expected scores of shape [${rows.length}, V], got [${shape.join(', ')}]`,
    );
  }
  rows.forEach((history, r) => {
    const prompt = promptLength ?? history.length;
    if (!Number.isInteger(prompt) || prompt < 0 || prompt > history.length) {
      throw new InvalidArgumentError(
        `processLogits: expected promptLength within the ${history.length} ids, got ${String(prompt)}`,
      );
    }
    const resolved = resolveOptions(call, noDefaults, { vocabSize, promptLength: prompt });
    const encoder = encoderIds ?? history.slice(0, prompt);
    const row = sampleRow(resolved, { history, promptLength: prompt, encoder, returnIndex: 0 });
    const view = data.subarray(r * vocabSize, (r + 1) * vocabSize);
    processScores(view, row);
    if (row.mode === sampleMode.sample) warpScores(view, row);
  });
  return { dtype: 'f32', shape, data: Float32Array.from(data) };
}
