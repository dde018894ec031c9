import type { GenerateOptions } from '../generate/options.js';
import type { GenerateTimings } from '../generate/result.js';
import type { TextModel } from '../generate/text_model.js';

/** What a round runs: prompts of so many tokens, each continued by so many more, so many of them together. */
export interface RoundSize {
  readonly prompt: number;
  readonly tokens: number;
  readonly batch: number;
}

type Prompts = readonly (readonly number[])[];

/** Greedy, and nothing that a checkpoint's generation_config.json asks for besides: only its length ends a sequence. */
const plain = {
  doSample: false,
  numBeams: 1,
  numReturnSequences: 1,
  repetitionPenalty: 1,
  noRepeatNgramSize: 0,
  encoderNoRepeatNgramSize: 0,
  minNewTokens: 0,
  badWordsIds: [],
  suppressTokens: [],
  beginSuppressTokens: [],
  forcedEosTokenId: [],
  eosTokenId: [],
  stop: [],
} as const satisfies GenerateOptions;

/** Prompts of random ids, the same for a seed. Two of them hardly begin alike, so that none finds its beginning in the cache. */
export function randomPrompts({ prompt, batch }: RoundSize, vocabulary: number, seed: number): number[][] {
  let state = seed;
  const draw = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * vocabulary);
  };
  return Array.from({ length: batch }, () => Array.from({ length: prompt }, draw));
}

async function run(
  model: TextModel,
  prompts: Prompts,
  maxNewTokens: number,
  signal: AbortSignal | undefined,
): Promise<GenerateTimings[]> {
  const options = { ...plain, maxNewTokens, signal };
  const results = await Promise.all(prompts.map((ids) => model.generate(ids, options)));
  return results.map(({ timings }) => timings);
}

/** Tokens per second while prompts, given at once, are processed: until each has its first token. */
export async function prefillRate(model: TextModel, prompts: Prompts, signal?: AbortSignal): Promise<number> {
  const timings = await run(model, prompts, 1, signal);
  const count = prompts.reduce((n, ids) => n + ids.length, 0);
  return (count / Math.max(...timings.map((t) => t.firstTokenMs))) * 1000;
}

/**
 * Tokens per second, of all together, while prompts whose beginnings are in the cache are continued by `tokens` after their first.
 * Whether the checkpoint has a tokenizer makes no difference: text is made of the tokens after the last has come.
 */
export async function decodeRate(
  model: TextModel,
  prompts: Prompts,
  tokens: number,
  signal?: AbortSignal,
): Promise<number> {
  const timings = await run(model, prompts, tokens + 1, signal);
  return timings.reduce((n, t) => n + (tokens / (t.lastTokenMs - t.firstTokenMs)) * 1000, 0);
}
