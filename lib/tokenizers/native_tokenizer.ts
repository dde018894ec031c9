import { createRequire } from 'node:module';
import { ModelFormatError, UnsupportedError } from '../errors.js';
import { checkTokenizerJson } from './check_tokenizer_json.js';

/** The part of npm `tokenizers` (Hugging Face's Rust library) that is used here; its own declarations do not compile. */
export interface NativeTokenizer {
  encode(text: string, pair: null, options: { addSpecialTokens: boolean }): Promise<{ getIds(): number[] }>;
  decode(ids: number[], skipSpecialTokens: boolean): Promise<string>;
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
}

/**
 * Builds a tokenizer from the text of a `tokenizer.json`. Synchronous and slow (seconds for 250k tokens): for a worker.
 * Truncation and padding that the file may ask for are off, as they are in `transformers` unless a call names them.
 */
export function loadNativeTokenizer(text: string, path: string): LoadedTokenizer {
  const facts = checkTokenizerJson(parseJson(text, path), path);
  const native = construct(text, path);
  native.disableTruncation();
  native.disablePadding();
  for (const { content, id } of facts.addedTokens) {
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
  };
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ModelFormatError(`${path}: expected JSON, got ${(cause as Error).message}`, { cause });
  }
}

function construct(text: string, path: string): NativeTokenizer {
  const library = loadLibrary();
  try {
    return library.Tokenizer.fromString(text);
  } catch (cause) {
    throw new ModelFormatError(`${path}: not a tokenizer: ${(cause as Error).message}`, { cause });
  }
}

function loadLibrary(): { Tokenizer: { fromString(text: string): NativeTokenizer } } {
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
