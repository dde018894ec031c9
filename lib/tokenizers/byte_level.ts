import { InvalidArgumentError } from '../errors.js';
import type { JsonObject } from '../weights/json_file.js';

/**
 * Byte-level BPE as GPT-2 has it: tokens are strings in which each byte is one character. Printable bytes of Latin-1 stand for
 * themselves, the rest, in order, for U+0100 and what follows (Radford et al., 2019, `bytes_to_unicode`).
 */

const isPrintable = (byte: number): boolean =>
  (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;

const bytes = Array.from({ length: 256 }, (_, byte) => byte);

/** The 256 bytes in the order of their characters, in which `tokenizers` numbers them. */
export const byteAlphabet: Uint8Array = Uint8Array.from([
  ...bytes.filter(isPrintable),
  ...bytes.filter((byte) => !isPrintable(byte)),
]);

const characters: readonly string[] = Array.from(byteAlphabet, (byte, index) =>
  String.fromCharCode(isPrintable(byte) ? byte : 0x100 + index - bytes.filter(isPrintable).length),
);

export interface ByteLevelBpe {
  /** Get the first ids, in order. The first one begins and ends texts. */
  readonly specialTokens: readonly string[];
  /** [merges, 3]: left, right and resulting symbol; symbols 0 to 255 are those of {@link byteAlphabet}. */
  readonly merges: Int32Array;
}

/**
 * What `tokenizer.json` and `tokenizer_config.json` hold for such a tokenizer, and how many tokens it has. Throws
 * InvalidArgumentError for a special token that is spelled as another token is.
 */
export function byteLevelFiles({ specialTokens, merges }: ByteLevelBpe): {
  readonly tokenizer: object;
  readonly config: object;
  readonly vocabSize: number;
} {
  const symbols = [...characters];
  const pairs: [string, string][] = [];
  for (let at = 0; at < merges.length; at += 3) {
    const [left, right, id] = merges.subarray(at, at + 3) as unknown as [number, number, number];
    const pair: [string, string] = [symbols[left] as string, symbols[right] as string];
    pairs.push(pair);
    // Two merges may give the same bytes: the symbol is there already then.
    if (id === symbols.length) symbols.push(pair[0] + pair[1]);
  }
  const tokens = [...specialTokens, ...symbols];
  const spelled = new Set(symbols);
  const twice = specialTokens.find((token) => spelled.has(token));
  if (twice !== undefined) {
    throw new InvalidArgumentError(
      `tokenizer: expected special tokens that no other token is spelled as, got ${JSON.stringify(twice)}`,
    );
  }
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  const tokenizer = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: specialTokens.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: pairs,
    },
  };
  return { tokenizer, config: configOf(specialTokens), vocabSize: tokens.length };
}

function configOf(specialTokens: readonly string[]): object {
  const [first, ...others] = specialTokens;
  return {
    tokenizer_class: 'PreTrainedTokenizerFast',
    add_prefix_space: false,
    clean_up_tokenization_spaces: false,
    bos_token: first,
    eos_token: first,
    ...(others.length > 0 ? { additional_special_tokens: others } : {}),
  };
}

/** A byte-level BPE tokenizer as ids. */
export interface ByteLevelIds {
  /** [256]: id of each byte. */
  readonly bytes: Int32Array;
  /** [merges, 3]: ids of left, right and result, by rank. */
  readonly merges: Int32Array;
}

/**
 * The ids of a `tokenizer.json` that is GPT-2's kind and nothing more: GPT-2's pattern, no normalizer, no added tokens but special
 * ones. Undefined for any other, which only the library knows how to apply.
 */
export function byteLevelIds(json: JsonObject): ByteLevelIds | undefined {
  const { normalizer, added_tokens: added } = json;
  const pattern = json.pre_tokenizer as JsonObject | null | undefined;
  const model = json.model as JsonObject;
  const isPlain =
    (normalizer ?? null) === null &&
    pattern?.type === 'ByteLevel' &&
    pattern.add_prefix_space === false &&
    pattern.use_regex !== false &&
    (model.type ?? 'BPE') === 'BPE' &&
    ['dropout', 'continuing_subword_prefix', 'end_of_word_suffix', 'byte_fallback', 'ignore_merges'].every(
      (key) => !model[key],
    ) &&
    ((added ?? []) as JsonObject[]).every(
      ({ special, normalized, single_word, lstrip, rstrip }) =>
        special === true && !normalized && !single_word && !lstrip && !rstrip,
    );
  if (!isPlain) return undefined;
  const ids = new Map(Object.entries(model.vocab as Record<string, number>));
  const bytes = new Int32Array(byteAlphabet.length);
  const merges: (number | undefined)[] = [];
  for (const [index, byte] of byteAlphabet.entries())
    bytes[byte] = ids.get(characters[index] as string) ?? -1;
  for (const merge of model.merges as (string | [string, string])[]) {
    const [left = '', right = ''] = typeof merge === 'string' ? merge.split(' ') : merge;
    merges.push(ids.get(left), ids.get(right), ids.get(left + right));
  }
  if (bytes.includes(-1) || merges.includes(undefined)) return undefined;
  return { bytes, merges: Int32Array.from(merges as number[]) };
}
