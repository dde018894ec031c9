import { type Ids, type SampleRow, sampleMode } from '../ops/sampling/row.js';
import type { ResolvedOptions } from './options.js';

/** One sequence at one step, as far as the choice of its next token depends on it. */
export interface SequenceStep {
  /** Prompt (of the decoder) and generated ids. */
  readonly history: Ids;
  readonly promptLength: number;
  /** The encoder's ids; of a model without encoder, the prompt. */
  readonly encoder: Ids;
  /** Which of the returned sequences it is. */
  readonly returnIndex: number;
  /** A grammar's bit mask of allowed ids. */
  readonly allowed?: Ids;
}

const none: Ids = [];

/** Whether any processor reads the ids so far; where none does, a row need not carry them. */
function readsHistory(options: ResolvedOptions): boolean {
  return (
    options.repetitionPenalty !== 1 ||
    options.presencePenalty !== 0 ||
    options.frequencyPenalty !== 0 ||
    options.noRepeatNgramSize > 0 ||
    options.encoderNoRepeatNgramSize > 0 ||
    options.badWordsIds.some((word) => word.length > 1)
  );
}

/** Ids that are forced at this step: the first token after one start token, then the end at the greatest length. */
function forcedIds(options: ResolvedOptions, length: number, promptLength: number): readonly number[] {
  if (options.forcedEosTokenIds.length > 0 && length === promptLength + options.maxNewTokens - 1)
    return options.forcedEosTokenIds;
  return options.forcedBosTokenId !== undefined && length === 1 ? [options.forcedBosTokenId] : [];
}

/** Ids that are banned at this step. What is forced overrides the least length, and is itself overridden by suppressTokens. */
function suppressedIds(
  options: ResolvedOptions,
  generated: number,
  promptLength: number,
  forced: boolean,
): readonly number[] {
  // A forced first token shifts what counts as the beginning.
  const begin = promptLength <= 1 && options.forcedBosTokenId !== undefined ? 1 : 0;
  return [
    ...(generated < options.minNewTokens && !forced ? options.eosTokenIds : []),
    ...options.suppressTokens,
    ...(generated === begin ? options.beginSuppressTokens : []),
  ];
}

/**
 * How many tokens may be chosen in a row by the same {@link sampleRow} but for its position: until the length, or something that
 * changes what is forced or banned.
 */
export function steadySteps(options: ResolvedOptions, length: number, promptLength: number): number {
  const generated = length - promptLength;
  const begins =
    generated < 2 && (options.beginSuppressTokens.length > 0 || options.forcedBosTokenId !== undefined);
  if (readsHistory(options) || generated < options.minNewTokens || begins) return 1;
  const left = options.maxNewTokens - generated;
  return Math.max(1, options.forcedEosTokenIds.length > 0 ? left - 1 : left);
}

/** What the op `sample` needs to know of a sequence at this step. */
export function sampleRow(options: ResolvedOptions, step: SequenceStep): SampleRow {
  const { history, promptLength, returnIndex } = step;
  const generated = history.length - promptLength;
  const forced = forcedIds(options, history.length, promptLength);
  const carried = readsHistory(options);
  return {
    mode: sampleMode[options.mode],
    temperature: options.temperature,
    topK: options.topK,
    topP: options.topP,
    minP: options.minP,
    typicalP: options.typicalP,
    repetitionPenalty: options.repetitionPenalty,
    presencePenalty: options.presencePenalty,
    frequencyPenalty: options.frequencyPenalty,
    noRepeatNgramSize: options.noRepeatNgramSize,
    encoderNoRepeatNgramSize: options.encoderNoRepeatNgramSize,
    seed: [options.seed | 0, Math.floor(options.seed / 2 ** 32) | 0],
    returnIndex,
    position: generated,
    history: carried ? history : none,
    promptLength: carried ? promptLength : 0,
    encoder: options.encoderNoRepeatNgramSize > 0 ? step.encoder : none,
    badWords: options.badWordsIds,
    suppressed: suppressedIds(options, generated, promptLength, forced.length > 0),
    forced,
    allowed: step.allowed,
  };
}
