import { join } from 'node:path';
import { DeviceUnavailableError, InvalidArgumentError } from '../errors.js';
import { loadBinding, type NativeBpeEncoder } from '../exec/binding.js';
import { byteLevelIds } from '../tokenizers/byte_level.js';
import { checkRuns } from '../tokenizers/check_runs.js';
import { type LoadedTokenizer, loadNativeTokenizer } from '../tokenizers/native_tokenizer.js';
import { readText } from '../tokenizers/tokenizer_files.js';

/** A document's text, and the same in UTF-8. */
export interface CleanDocument {
  readonly text: string;
  readonly utf8: Uint8Array;
}

/** Ids of documents, each followed by the end-of-text token, one after the other; and where each ends. */
interface EncodedDocuments {
  readonly data: Int32Array;
  readonly ends: Uint32Array;
}

export interface EncodeDocuments {
  /** Tokens that have a meaning of their own: in a text they would be taken for it. */
  readonly specialTokens: readonly string[];
  encode(documents: readonly CleanDocument[]): EncodedDocuments | Promise<EncodedDocuments>;
}

/**
 * Loads the tokenizer of a directory, in a worker: this takes a while. One of GPT-2's kind is applied by the engine, some 25 times
 * faster than by the library, which applies all others, and this one too where the addon does not load. Throws as the tokenizer's own
 * worker does.
 */
export function loadEncoder(directory: string, endOfText: number): EncodeDocuments {
  const path = join(directory, 'tokenizer.json');
  const text = readText(path);
  if (text === undefined) throw new InvalidArgumentError(`${path}: expected a file, got none`);
  const tokenizer = loadNativeTokenizer(text, path);
  const specialTokens = tokenizer.addedTokens
    .filter(([, id]) => tokenizer.specialIds.has(id))
    .map(([token]) => token);
  const engine = engineEncoder(text);
  return {
    specialTokens,
    encode: (documents) =>
      engine ? byEngine(engine, documents, endOfText) : byLibrary(tokenizer, documents, endOfText),
  };
}

function engineEncoder(tokenizerJson: string): NativeBpeEncoder | undefined {
  const ids = byteLevelIds(JSON.parse(tokenizerJson));
  try {
    return ids && new (loadBinding().BpeEncoder)(ids.bytes, ids.merges);
  } catch (error) {
    // A merge that comes twice is for the library to make sense of.
    if (error instanceof DeviceUnavailableError || error instanceof InvalidArgumentError) return undefined;
    throw error;
  }
}

function byEngine(
  engine: NativeBpeEncoder,
  documents: readonly CleanDocument[],
  endOfText: number,
): EncodedDocuments {
  const { data: texts, ends } = joined(
    documents.map(({ utf8 }) => utf8),
    Uint8Array,
  );
  return { data: engine.encode(texts, ends, endOfText), ends };
}

async function byLibrary(
  { native, limits }: LoadedTokenizer,
  documents: readonly CleanDocument[],
  endOfText: number,
): Promise<EncodedDocuments> {
  const lists: number[][] = [];
  for (const { text } of documents) {
    checkRuns(text, limits);
    const encoding = await native.encode(text, null, { addSpecialTokens: false });
    lists.push([...encoding.getIds(), endOfText]);
  }
  return joined(lists, Int32Array);
}

/** Lists one after the other, and where each ends. */
export function joined<T extends Uint8Array | Int32Array>(
  lists: readonly ArrayLike<number>[],
  makeArray: new (length: number) => T,
): { readonly data: T; readonly ends: Uint32Array } {
  let end = 0;
  const ends = Uint32Array.from(lists, (list) => {
    end += list.length;
    return end;
  });
  const data = new makeArray(end);
  lists.forEach((list, i) => {
    data.set(list, (ends[i] as number) - list.length);
  });
  return { data, ends };
}
