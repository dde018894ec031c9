/** How a row's token is chosen; the order is shared with native/sampler.h. */
export const sampleMode = { greedy: 0, sample: 1, beam: 2 } as const;

/** Columns of `row_floats`; shared with native/sampler.h. */
export const floatColumn = {
  temperature: 0,
  topP: 1,
  minP: 2,
  typicalP: 3,
  repetitionPenalty: 4,
  presencePenalty: 5,
  frequencyPenalty: 6,
} as const;

/** Columns of `row_ints`; shared with native/sampler.h. A Begin and its End are a range of `lists`; empty: none. */
export const intColumn = {
  mode: 0,
  topK: 1,
  noRepeatNgramSize: 2,
  encoderNoRepeatNgramSize: 3,
  seedLow: 4,
  seedHigh: 5,
  returnIndex: 6,
  /** Tokens generated before this one: the random counter. */
  position: 7,
  historyBegin: 8,
  historyEnd: 9,
  /** Ids of the history that were given, not generated. */
  promptLength: 10,
  encoderBegin: 11,
  encoderEnd: 12,
  /** Words as [length, id, id, …] one after the other. */
  badWordsBegin: 13,
  badWordsEnd: 14,
  suppressedBegin: 15,
  suppressedEnd: 16,
  forcedBegin: 17,
  forcedEnd: 18,
  /** Where ⌈V / 32⌉ words begin, bit i of word j allowing id 32·j + i; −1: all are allowed. */
  allowedBegin: 19,
} as const;

/** Width of `row_floats` and `row_ints`. */
export const floatColumns = 8;
export const intColumns = 24;

/** Ids, wherever they lie. */
export type Ids = ArrayLike<number>;

/** What the choice of one token depends on besides its logits. */
export interface SampleRow {
  readonly mode: number;
  /** Warpers, used by mode `sample` alone. Off: temperature 1, topK 0, topP 1, minP 0, typicalP 1. */
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly typicalP: number;
  /** Off: 1, 0 and 0. */
  readonly repetitionPenalty: number;
  readonly presencePenalty: number;
  readonly frequencyPenalty: number;
  /** Off: 0. */
  readonly noRepeatNgramSize: number;
  readonly encoderNoRepeatNgramSize: number;
  /** Low and high 32 bits. */
  readonly seed: readonly [number, number];
  readonly returnIndex: number;
  readonly position: number;
  /** Prompt and generated ids; of the prompt, `promptLength`. */
  readonly history: Ids;
  readonly promptLength: number;
  readonly encoder: Ids;
  readonly badWords: readonly Ids[];
  readonly suppressed: Ids;
  readonly forced: Ids;
  readonly allowed?: Ids | undefined;
}

/** A row that leaves the scores as they are and takes the greatest. */
export const greedyRow: SampleRow = {
  mode: sampleMode.greedy,
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
  typicalP: 1,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  noRepeatNgramSize: 0,
  encoderNoRepeatNgramSize: 0,
  seed: [0, 0],
  returnIndex: 0,
  position: 0,
  history: [],
  promptLength: 0,
  encoder: [],
  badWords: [],
  suppressed: [],
  forced: [],
};
