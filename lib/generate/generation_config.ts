import { ModelFormatError, UnsupportedError } from '../errors.js';
import { optionFault, show } from './check_option.js';
import { type OptionName, optionNames, optionTable } from './option_table.js';

/** What a checkpoint says about generation: defaults of options, and what is not an option. */
export interface FileDefaults {
  readonly options: Readonly<Partial<Record<OptionName, unknown>>>;
  /** `max_length`, `min_length`: of prompt and text together. */
  readonly maxLength?: number;
  readonly minLength?: number;
  readonly bosTokenId?: number;
  readonly padTokenId?: number;
  readonly decoderStartTokenId?: number;
  /** Keys that nobody knows, so that nothing depends on them. */
  readonly ignored: readonly string[];
}

/** Keys that change the result and are not built: their values that change nothing, beside null. */
const unsupported: ReadonlyMap<string, readonly unknown[]> = new Map(
  Object.entries({
    max_time: [],
    epsilon_cutoff: [0],
    eta_cutoff: [0],
    top_h: [],
    encoder_repetition_penalty: [1],
    renormalize_logits: [false],
    remove_invalid_values: [false],
    exponential_decay_length_penalty: [],
    sequence_bias: [],
    token_healing: [false],
    guidance_scale: [1],
    watermarking_config: [],
    penalty_alpha: [0],
    dola_layers: [],
    diversity_penalty: [0],
    num_beam_groups: [1],
    constraints: [],
    force_words_ids: [],
    forced_decoder_ids: [],
    force_bos_token_to_be_generated: [false],
    assistant_ensemble_weight: [],
  }),
);

/** Keys that say how, not what: metadata, caches, compilation, outputs, and drafting that leaves the distribution as it is. */
const neutral = new Set(
  `transformers_version use_cache cache_implementation cache_config max_cache_len return_legacy_cache prefill_chunk_size
  low_memory compile_config disable_compile continuous_batching_config return_dict_in_generate output_attentions
  output_hidden_states output_scores output_logits is_assistant num_assistant_tokens num_assistant_tokens_schedule
  assistant_confidence_threshold prompt_lookup_num_tokens max_matching_ngram_size assistant_early_exit assistant_lookbehind
  target_lookbehind speculation_type use_mtp`.split(/\s+/),
);

const optionOfKey: ReadonlyMap<string, OptionName> = new Map(
  optionNames.flatMap((name): [string, OptionName][] => {
    const spec: { readonly fileKey?: string } = optionTable[name];
    return spec.fileKey === undefined ? [] : [[spec.fileKey, name]];
  }),
);

const lengths: ReadonlyMap<string, 'maxLength' | 'minLength'> = new Map([
  ['max_length', 'maxLength'],
  ['min_length', 'minLength'],
]);
const tokens: ReadonlyMap<string, 'bosTokenId' | 'padTokenId' | 'decoderStartTokenId'> = new Map([
  ['bos_token_id', 'bosTokenId'],
  ['pad_token_id', 'padTokenId'],
  ['decoder_start_token_id', 'decoderStartTokenId'],
]);

/** A token id, or the first of a list; a negative one (−1 stands for "none" in some files) is none. */
function tokenId(file: string, key: string, value: unknown): number | undefined {
  const id: unknown = Array.isArray(value) ? value[0] : value;
  if (typeof id !== 'number' || !Number.isSafeInteger(id)) {
    throw new ModelFormatError(`${file}: expected ${key} to be a token id, got ${show(value)}`);
  }
  return id < 0 ? undefined : id;
}

function optionValue(file: string, key: string, name: OptionName, value: unknown): unknown {
  // Files write −1 for an eos that there is none of, and floats for some integers.
  if (name === 'eosTokenId' && value === -1) return undefined;
  // Greedy files may hold a temperature or mass of 0, which nothing reads.
  if ((name === 'topP' || name === 'typicalP') && value === 0) return undefined;
  const fault = optionFault(optionTable[name], value);
  if (fault) throw new ModelFormatError(`${file}: ${key}: ${fault}`);
  return value;
}

type Mutable = { -readonly [K in keyof FileDefaults]: FileDefaults[K] };

/** Takes a key that is no option; false: nobody knows it. */
function takeOther(file: string, key: string, value: unknown, into: Mutable): boolean {
  const length = lengths.get(key);
  const token = tokens.get(key);
  const harmless = unsupported.get(key);
  if (length) {
    if (!Number.isSafeInteger(value) || (value as number) < 0) {
      throw new ModelFormatError(`${file}: expected ${key} to be a length, got ${show(value)}`);
    }
    into[length] = value as number;
  } else if (token) {
    const id = tokenId(file, key, value);
    if (id !== undefined) into[token] = id;
  } else if (harmless && !harmless.includes(value)) {
    throw new UnsupportedError(
      `${file}: ${key} = ${show(value)} changes the result and is not supported; remove the key`,
    );
  }
  return Boolean(length ?? token ?? harmless);
}

function parse(file: string, entries: readonly (readonly [string, unknown])[]): FileDefaults {
  const options: Partial<Record<OptionName, unknown>> = {};
  const ignored: string[] = [];
  const defaults: Mutable = { options, ignored };
  for (const [key, value] of entries) {
    if (value === null || key.startsWith('_') || neutral.has(key)) continue;
    const option = optionOfKey.get(key);
    if (option) {
      const known = optionValue(file, key, option, value);
      if (known !== undefined) options[option] = known;
    } else if (!takeOther(file, key, value, defaults)) ignored.push(key);
  }
  return defaults;
}

/** Defaults of generation_config.json. Throws {@link ModelFormatError} and {@link UnsupportedError}, naming the key. */
export function parseGenerationConfig(json: Readonly<Record<string, unknown>>): FileDefaults {
  return parse('generation_config.json', Object.entries(json));
}

/** Of a checkpoint without generation_config.json: the generation fields that older files keep in config.json. */
export function parseModelConfigDefaults(json: Readonly<Record<string, unknown>>): FileDefaults {
  const known = (key: string): boolean =>
    [optionOfKey, lengths, tokens, unsupported].some((table) => table.has(key));
  return parse(
    'config.json',
    Object.entries(json).filter(([key]) => known(key)),
  );
}

/** The id that begins a text: that of the generation defaults, or else config.json's. */
export const bosTokenIdOf = (
  defaults: FileDefaults,
  config: Readonly<Record<string, unknown>>,
): number | undefined =>
  defaults.bosTokenId ?? parse('config.json', [['bos_token_id', config.bos_token_id ?? null]]).bosTokenId;

/**
 * The id that an encoder-decoder's text begins with: that of generation_config.json, else config.json's, else the one that begins a
 * text. Throws {@link ModelFormatError} if there is none, or the vocabulary does not have it.
 */
export function decoderStartIdOf(
  generation: FileDefaults,
  config: Readonly<Record<string, unknown>>,
  vocabSize: number,
): number {
  const model = parse('config.json', [['decoder_start_token_id', config.decoder_start_token_id ?? null]]);
  const id = generation.decoderStartTokenId ?? model.decoderStartTokenId ?? bosTokenIdOf(generation, config);
  if (id !== undefined && id < vocabSize) return id;
  const got = id ?? 'none, and no bos_token_id either';
  throw new ModelFormatError(
    `config.json: expected decoder_start_token_id, there or in generation_config.json, to be an id of the vocabulary (0 to ${vocabSize - 1}), got ${got}`,
  );
}

/** No file said anything. */
export const noDefaults: FileDefaults = { options: {}, ignored: [] };
