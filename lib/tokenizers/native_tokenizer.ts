import { createRequire } from 'node:module';
import { ModelFormatError, UnsupportedError } from '../errors.js';
import { type JsonObject, parseJsonText } from '../weights/json_file.js';
import type { TextLimits } from './check_patterns.js';
import { checkTokenizerJson } from './check_tokenizer_json.js';

/** The library gives up at this depth of JSON too. */
const maxDepth = 128;

/** The part of npm `tokenizers` (Hugging Face's Rust library) that is used here; its own declarations do not compile. */
export interface NativeTokenizer {
  encode(text: string, pair: null, options: { addSpecialTokens: boolean }): Promise<{ getIds(): number[] }>;
  decode(ids: number[], skipSpecialTokens: boolean): Promise<string>;
  getNormalizer(): { normalizeString(text: string): string } | null;
  getDecoder(): { decode(tokens: string[]): string } | null;
  idToToken(id: number): string | null;
  tokenToId(token: string): number | null;
  disableTruncation(): void;
  disablePadding(): void;
}

export interface LoadedTokenizer {
  readonly native: NativeTokenizer;
  readonly vocabSize: number;
  readonly addedTokens: readonly (readonly [content: string, id: number])[];
  readonly specialIds: ReadonlySet<number>;
  readonly hasByteFallback: boolean;
  readonly limits: TextLimits;
}

/**
 * Builds a tokenizer from the text of a `tokenizer.json`. Synchronous and slow (seconds for 250k tokens): for a worker.
 * Truncation and padding that the file may ask for are off, as they are in `transformers` unless a call names them.
 */
export function loadNativeTokenizer(text: string, path: string): LoadedTokenizer {
  // Every key once: of two values the library might take another than the one that is checked.
  const json = parseJsonText(text, path, { maxDepth });
  const facts = checkTokenizerJson(json, path);
  const native = construct(text, json, path);
  native.disableTruncation();
  native.disablePadding();
  const normalizer = native.getNormalizer();
  for (const { content, id, normalized } of facts.addedTokens) {
    if (normalized && normalizer?.normalizeString(content) === '') {
      // The library would find it between the bytes of any character, and end the process.
      throw new UnsupportedError(
        `${path}: added_tokens: expected texts of which the normalizer leaves something, got ${JSON.stringify(content)}`,
      );
    }
    const got = native.tokenToId(content);
    if (got === id) continue;
    throw new ModelFormatError(
      `${path}: added token ${JSON.stringify(content)} is declared with id ${id}, but the vocabulary gives it ` +
        `${got ?? 'none'}; ids of added tokens must be unique and follow the vocabulary without gaps`,
    );
  }
  return {
    native,
    vocabSize: facts.vocabSize,
    addedTokens: facts.addedTokens.map(({ content, id }) => [content, id] as const),
    specialIds: new Set(facts.addedTokens.filter(({ special }) => special).map(({ id }) => id)),
    hasByteFallback: facts.hasByteFallback,
    limits: facts.limits,
  };
}

function construct(text: string, json: JsonObject, path: string): NativeTokenizer {
  const library = loadLibrary();
  try {
    return library.Tokenizer.fromString(text);
  } catch (cause) {
    const why = (cause as Error).message;
    const reason = why.length > 200 ? `${why.slice(0, 197)}...` : why;
    throw new ModelFormatError(`${path}: ${culprit(library, json)}: not a tokenizer's: ${reason}`, { cause });
  }
}

const sideParts = [
  'added_tokens',
  'normalizer',
  'pre_tokenizer',
  'post_processor',
  'decoder',
  'truncation',
  'padding',
];

/** The part of a file that the library rejects also beside a model that is sound: its own message names none. */
function culprit(library: Library, json: JsonObject): string {
  const model = { type: 'WordLevel', vocab: { a: 0 }, unk_token: 'a' };
  const isWrong = (part: string): boolean => {
    try {
      library.Tokenizer.fromString(JSON.stringify({ version: '1.0', model, [part]: json[part] }));
      return false;
    } catch {
      return true;
    }
  };
  if (json.version !== '1.0') return 'version';
  return sideParts.find((part) => json[part] !== undefined && isWrong(part)) ?? 'model';
}

interface Library {
  readonly Tokenizer: { fromString(text: string): NativeTokenizer };
}

function loadLibrary(): Library {
  try {
    return createRequire(import.meta.url)('tokenizers');
  } catch (cause) {
    throw new UnsupportedError(
      `tokenizers: npm package 'tokenizers' does not load on ${process.platform}-${process.arch} ` +
        `(${(cause as Error).message.split('\n')[0]}); reinstall it, or pass token ids instead of text`,
      { cause },
    );
  }
}
