import { randomInt } from 'node:crypto';
import { InvalidArgumentError, UnsupportedError } from '../errors.js';
import { expectIds, optionFault, show } from './check_option.js';
import type { FileDefaults } from './generation_config.js';
import { nearest } from './nearest.js';
import { type OptionName, optionNames, optionTable } from './option_table.js';

type OneOrMany<T> = T | readonly T[];

/** Options of `generate()`; option_table.ts says what each does. Left out: as generation_config.json has it. */
export interface GenerateOptions {
  readonly maxNewTokens?: number | undefined;
  readonly minNewTokens?: number | undefined;
  readonly doSample?: boolean | undefined;
  readonly temperature?: number | undefined;
  readonly topK?: number | undefined;
  readonly topP?: number | undefined;
  readonly minP?: number | undefined;
  readonly typicalP?: number | undefined;
  readonly repetitionPenalty?: number | undefined;
  readonly presencePenalty?: number | undefined;
  readonly frequencyPenalty?: number | undefined;
  readonly noRepeatNgramSize?: number | undefined;
  readonly encoderNoRepeatNgramSize?: number | undefined;
  readonly badWordsIds?: readonly (readonly number[])[] | undefined;
  readonly suppressTokens?: OneOrMany<number> | undefined;
  readonly beginSuppressTokens?: OneOrMany<number> | undefined;
  readonly forcedBosTokenId?: number | undefined;
  readonly forcedEosTokenId?: OneOrMany<number> | undefined;
  /** An empty array: nothing ends the sequence but its length and `stop`. */
  readonly eosTokenId?: OneOrMany<number> | undefined;
  readonly numBeams?: number | undefined;
  readonly numReturnSequences?: number | undefined;
  readonly lengthPenalty?: number | undefined;
  readonly earlyStopping?: boolean | 'never' | undefined;
  readonly stop?: OneOrMany<string | number> | undefined;
  readonly seed?: number | undefined;
  readonly logprobs?: number | undefined;
  readonly assistantModel?: object | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What the options depend on besides the files. */
export interface OptionContext {
  readonly vocabSize: number;
  /** Ids that the (decoder's) sequence begins with. */
  readonly promptLength: number;
}

/** Every option with its value; what is off has the value that changes nothing. */
export interface ResolvedOptions {
  readonly mode: 'greedy' | 'sample' | 'beam';
  readonly maxNewTokens: number;
  readonly minNewTokens: number;
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly typicalP: number;
  readonly repetitionPenalty: number;
  readonly presencePenalty: number;
  readonly frequencyPenalty: number;
  readonly noRepeatNgramSize: number;
  readonly encoderNoRepeatNgramSize: number;
  /** Without those that are one eos: they end a sequence, they are not words in it. */
  readonly badWordsIds: readonly (readonly number[])[];
  readonly suppressTokens: readonly number[];
  readonly beginSuppressTokens: readonly number[];
  readonly forcedBosTokenId: number | undefined;
  readonly forcedEosTokenIds: readonly number[];
  readonly eosTokenIds: readonly number[];
  readonly numBeams: number;
  readonly numReturnSequences: number;
  readonly lengthPenalty: number;
  readonly earlyStopping: boolean | 'never';
  readonly stopStrings: readonly string[];
  readonly stopTokenIds: readonly number[];
  readonly seed: number;
  readonly logprobs: number;
  readonly signal: AbortSignal | undefined;
}

type Given = { readonly [K in keyof GenerateOptions]-?: NonNullable<GenerateOptions[K]> | undefined };

const invalid = (message: string): InvalidArgumentError => new InvalidArgumentError(`generate: ${message}`);

const listOf = <T>(value: OneOrMany<T> | undefined): readonly T[] =>
  value === undefined ? [] : Array.isArray(value) ? (value as readonly T[]) : [value as T];

/** The values of a call. Throws {@link InvalidArgumentError} for an unknown key, a wrong kind, or a value out of range. */
function checkCall(call: GenerateOptions, vocabulary: number): void {
  if (typeof call !== 'object' || call === null)
    throw invalid(`expected options to be an object, got ${show(call)}`);
  for (const [key, value] of Object.entries(call)) {
    if (!Object.hasOwn(optionTable, key)) {
      throw invalid(`unknown option "${key}"; did you mean "${nearest(key, optionNames)}"?`);
    }
    if (value === undefined) continue;
    const spec = optionTable[key as OptionName];
    const fault = optionFault(spec, value);
    if (fault) throw invalid(`option "${key}": ${fault}`);
    if (key === 'signal' && !(value instanceof AbortSignal))
      throw invalid(`option "signal": expected an AbortSignal, got ${show(value)}`);
    if (spec.kind === 'ids') expectIds(key, listOf(value as OneOrMany<number>), vocabulary);
    if (spec.kind === 'idLists') expectIds(key, (value as number[][]).flat(), vocabulary);
    if (spec.kind === 'stop')
      expectIds(key, listOf(value as OneOrMany<number>).filter(Number.isInteger), vocabulary);
  }
  if (call.forcedBosTokenId !== undefined) expectIds('forcedBosTokenId', [call.forcedBosTokenId], vocabulary);
  if ((call.logprobs ?? 0) > vocabulary)
    throw invalid(`option "logprobs": expected at most the vocabulary's ${vocabulary}, got ${call.logprobs}`);
}

/** Values of one call that cannot both be kept. Throws {@link InvalidArgumentError}. */
export function checkContradictions(call: GenerateOptions): void {
  const { doSample, temperature, minNewTokens = 0, maxNewTokens = Number.POSITIVE_INFINITY } = call;
  if (doSample === true && temperature === 0) {
    throw invalid('doSample: true contradicts temperature: 0, which is greedy; leave one out');
  }
  if (doSample === false) {
    const neutral = { temperature: [0, 1], topK: [0], topP: [1], minP: [0], typicalP: [1] };
    for (const [name, values] of Object.entries(neutral)) {
      const value = call[name as keyof typeof neutral];
      if (value !== undefined && !values.includes(value))
        throw invalid(`doSample: false contradicts ${name}: ${value}; leave one out`);
    }
  }
  if (minNewTokens > maxNewTokens)
    throw invalid(`minNewTokens: ${minNewTokens} contradicts maxNewTokens: ${maxNewTokens}`);
  const suppressed = new Set(listOf(call.suppressTokens));
  for (const name of ['forcedBosTokenId', 'forcedEosTokenId'] as const) {
    const forced = listOf(call[name]);
    if (forced.length > 0 && forced.every((id) => suppressed.has(id))) {
      throw invalid(`${name}: ${forced.join()} contradicts suppressTokens, which holds it`);
    }
  }
}

function resolveMode(call: GenerateOptions, given: Given): ResolvedOptions['mode'] {
  const warped = [call.temperature, call.topK, call.topP, call.minP, call.typicalP].some(
    (value) => value !== undefined,
  );
  // An explicit temperature of 0 beats the file's do_sample; a call's doSample beats a file's temperature of 0.
  const greedy = call.temperature === 0 || (call.doSample === undefined && given.temperature === 0);
  const sampled = !greedy && (call.doSample ?? (warped || given.doSample === true));
  if ((given.numBeams ?? 1) === 1) return sampled ? 'sample' : 'greedy';
  if (sampled)
    throw new UnsupportedError(
      'generate: beam search with sampling is not supported; pass doSample: false or numBeams: 1',
    );
  if (listOf(given.stop).length > 0)
    throw new UnsupportedError('generate: option "stop" is not supported with numBeams above 1');
  if ((given.logprobs ?? 0) > 0)
    throw new UnsupportedError('generate: option "logprobs" is not supported with numBeams above 1');
  return 'beam';
}

function resolveLength(call: GenerateOptions, file: FileDefaults, { promptLength }: OptionContext): number {
  const known = call.maxNewTokens ?? (file.options.maxNewTokens as number | undefined);
  if (known !== undefined) return known;
  if (file.maxLength === undefined) return 256;
  if (file.maxLength > promptLength) return file.maxLength - promptLength;
  throw invalid(
    `the prompt's ${promptLength} tokens leave nothing of the checkpoint's max_length ${file.maxLength}; pass maxNewTokens`,
  );
}

function resolveReturns(call: GenerateOptions, given: Given, mode: ResolvedOptions['mode']): number {
  const wanted = given.numReturnSequences ?? 1;
  const most = mode === 'sample' ? wanted : mode === 'beam' ? (given.numBeams ?? 1) : 1;
  if (wanted > most && call.numReturnSequences !== undefined) {
    const remedy = mode === 'beam' ? 'raise numBeams' : 'pass doSample: true or raise numBeams';
    throw invalid(`numReturnSequences: expected at most ${most} in ${mode} mode, got ${wanted}; ${remedy}`);
  }
  return Math.min(wanted, most);
}

/**
 * The options of one call: its own values, then the file's, then the defaults of API.md. Throws {@link InvalidArgumentError} for what
 * the call has wrong and {@link UnsupportedError} for what is known and not built. The context's end is not taken into account.
 */
export function resolveOptions(
  call: GenerateOptions,
  file: FileDefaults,
  context: OptionContext,
): ResolvedOptions {
  checkCall(call, context.vocabSize);
  if (call.assistantModel !== undefined)
    throw new UnsupportedError('generate: option "assistantModel" is not supported yet');
  checkContradictions(call);
  const given = {
    ...file.options,
    ...Object.fromEntries(Object.entries(call).filter(([, v]) => v !== undefined)),
  } as Given;
  const mode = resolveMode(call, given);
  const eosTokenIds = listOf(given.eosTokenId);
  const stop = listOf(given.stop);
  const minLength = call.minNewTokens === undefined ? (file.minLength ?? 0) - context.promptLength : 0;
  return {
    mode,
    maxNewTokens: resolveLength(call, file, context),
    minNewTokens: Math.max(given.minNewTokens ?? 0, minLength),
    temperature: given.temperature || 1,
    topK: given.topK ?? 0,
    topP: given.topP ?? 1,
    minP: given.minP ?? 0,
    typicalP: given.typicalP ?? 1,
    repetitionPenalty: given.repetitionPenalty ?? 1,
    presencePenalty: given.presencePenalty ?? 0,
    frequencyPenalty: given.frequencyPenalty ?? 0,
    noRepeatNgramSize: given.noRepeatNgramSize ?? 0,
    encoderNoRepeatNgramSize: given.encoderNoRepeatNgramSize ?? 0,
    badWordsIds: (given.badWordsIds ?? []).filter(
      (word) => word.length > 1 || !eosTokenIds.includes(word[0] as number),
    ),
    suppressTokens: listOf(given.suppressTokens),
    beginSuppressTokens: listOf(given.beginSuppressTokens),
    forcedBosTokenId: given.forcedBosTokenId,
    forcedEosTokenIds: listOf(given.forcedEosTokenId),
    eosTokenIds,
    numBeams: given.numBeams ?? 1,
    numReturnSequences: resolveReturns(call, given, mode),
    lengthPenalty: given.lengthPenalty ?? 1,
    earlyStopping: given.earlyStopping ?? false,
    stopStrings: stop.filter((s) => typeof s === 'string'),
    stopTokenIds: stop.filter((s) => typeof s === 'number'),
    seed: given.seed ?? randomInt(2 ** 48 - 1),
    logprobs: given.logprobs ?? 0,
    signal: given.signal,
  };
}
