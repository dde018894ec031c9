/** What a value of an option looks like. */
export type OptionKind = 'int' | 'float' | 'bool' | 'ids' | 'idLists' | 'earlyStopping' | 'stop' | 'object';

/** One option of `generate()`: one table for validation, files and the command line. */
export interface OptionSpec {
  readonly kind: OptionKind;
  /** Its key in generation_config.json; none: a file cannot set it. */
  readonly fileKey?: string;
  readonly min?: number;
  readonly max?: number;
  /** The minimum itself is out of range. */
  readonly above?: true;
  readonly doc: string;
}

const spec = (
  kind: OptionKind,
  fileKey: string | undefined,
  doc: string,
  range: Partial<OptionSpec> = {},
): OptionSpec => ({
  kind,
  ...(fileKey === undefined ? {} : { fileKey }),
  doc,
  ...range,
});

/** All options, by name. Meaning: Hugging Face's, where it has the option. */
export const optionTable = {
  maxNewTokens: spec('int', 'max_new_tokens', 'Most tokens to generate', { min: 1 }),
  minNewTokens: spec('int', 'min_new_tokens', 'No end of sequence before so many tokens', { min: 0 }),
  doSample: spec('bool', 'do_sample', 'Draw tokens at random instead of taking the most probable'),
  temperature: spec('float', 'temperature', 'Divides the logits: below 1 sharper; 0 is greedy', { min: 0 }),
  topK: spec('int', 'top_k', 'Draw from the k most probable tokens; 0: all', { min: 0 }),
  topP: spec('float', 'top_p', 'Draw from the most probable tokens that hold this mass', {
    min: 0,
    max: 1,
    above: true,
  }),
  minP: spec('float', 'min_p', 'Draw from tokens at least so probable, relative to the best', {
    min: 0,
    max: 1,
  }),
  typicalP: spec('float', 'typical_p', 'Draw from the most typical tokens that hold this mass', {
    min: 0,
    max: 1,
    above: true,
  }),
  repetitionPenalty: spec('float', 'repetition_penalty', 'Penalizes tokens of prompt and text; 1: none', {
    min: 0,
    above: true,
  }),
  presencePenalty: spec('float', undefined, 'Subtracted from the logit of each generated token', {
    min: -2,
    max: 2,
  }),
  frequencyPenalty: spec('float', undefined, 'Subtracted as often as a token was generated', {
    min: -2,
    max: 2,
  }),
  noRepeatNgramSize: spec('int', 'no_repeat_ngram_size', 'N-grams of this size occur once; 0: any', {
    min: 0,
  }),
  encoderNoRepeatNgramSize: spec(
    'int',
    'encoder_no_repeat_ngram_size',
    'N-grams of the input of this size do not occur',
    { min: 0 },
  ),
  badWordsIds: spec('idLists', 'bad_words_ids', 'Token sequences that are not generated'),
  suppressTokens: spec('ids', 'suppress_tokens', 'Tokens that are not generated'),
  beginSuppressTokens: spec('ids', 'begin_suppress_tokens', 'Tokens that are not generated first'),
  forcedBosTokenId: spec('int', 'forced_bos_token_id', 'Token after a decoder start token', { min: 0 }),
  forcedEosTokenId: spec('ids', 'forced_eos_token_id', 'Token at the greatest length'),
  eosTokenId: spec('ids', 'eos_token_id', 'Tokens that end the sequence'),
  numBeams: spec('int', 'num_beams', 'Beams of beam search; 1: none', { min: 1, max: 1024 }),
  numReturnSequences: spec('int', 'num_return_sequences', 'Sequences to return', { min: 1, max: 65536 }),
  lengthPenalty: spec('float', 'length_penalty', 'Beams are ranked by score / length to this power'),
  earlyStopping: spec('earlyStopping', 'early_stopping', 'When beam search ends: true, false or never'),
  stop: spec('stop', 'stop_strings', 'Strings or token ids that end the text'),
  seed: spec('int', undefined, 'Makes random draws repeatable', { min: 0, max: Number.MAX_SAFE_INTEGER }),
  logprobs: spec('int', undefined, 'How many alternatives to report for each token', { min: 0 }),
  assistantModel: spec('object', undefined, 'A smaller model that drafts (not supported yet)'),
  signal: spec('object', undefined, 'Aborts the request'),
} as const satisfies Record<string, OptionSpec>;

export type OptionName = keyof typeof optionTable;

/** Names in the order of the table. */
export const optionNames = Object.keys(optionTable) as OptionName[];

/** `maxNewTokens` → `max-new-tokens`: the flag of an option on the command line. */
export const flagOf = (name: OptionName): string => name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`);
