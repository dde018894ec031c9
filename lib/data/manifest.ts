import { join } from 'node:path';
import { InvalidArgumentError, ModelFormatError } from '../errors.js';
import { isJsonObject, type JsonObject, readJsonFile, show } from '../weights/json_file.js';
import type { DataReport } from './report.js';

/** The file that makes a directory a dataset: it is written last. */
export const manifestName = 'manifest.json';
export const manifestFormat = 'triga-tokens';
export const manifestVersion = 1;

export type Split = 'train' | 'validation';
export const splits = ['train', 'validation'] as const satisfies readonly Split[];

export interface SplitManifest {
  readonly tokens: number;
  readonly documents: number;
  /** UTF-8 bytes of the documents' texts. */
  readonly bytes: number;
  /** File of the positions of the documents' first tokens, u64 little-endian. */
  readonly documentsFile: string;
  /** Files of token ids, in order. */
  readonly shards: readonly { readonly file: string; readonly tokens: number }[];
}

/** What a directory of token shards holds. */
export interface DataManifest {
  readonly format: typeof manifestFormat;
  readonly version: typeof manifestVersion;
  /** Type of a token id in the shards, little-endian. */
  readonly dtype: 'u16' | 'u32';
  /** Largest token id + 1 of the tokenizer. */
  readonly vocabSize: number;
  /** Id of the token that follows each document. */
  readonly endOfText: number;
  /** Of the tokenizer.json that made the tokens. */
  readonly tokenizerSha256: string;
  readonly seed: number;
  readonly validation: number;
  readonly splits: Readonly<Record<Split, SplitManifest>>;
  readonly report: DataReport;
}

export const bytesPerToken = (dtype: DataManifest['dtype']): number => (dtype === 'u16' ? 2 : 4);

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
/** A name of a file in the same directory, and nowhere else. */
const isFileName = (value: unknown): value is string =>
  typeof value === 'string' && /^[\w-][\w.-]*$/.test(value);

/**
 * Reads and checks the manifest of a directory. Rejects with InvalidArgumentError for a directory without one, with ModelFormatError for
 * one that contradicts itself, or is of another version.
 */
export async function readManifest(directory: string): Promise<DataManifest> {
  const path = join(directory, manifestName);
  const json = await readJsonFile(path).catch((error: unknown) => {
    if (!(error instanceof InvalidArgumentError)) throw error;
    throw new InvalidArgumentError(
      `${directory}: expected a directory of token shards, got none with a ${manifestName}: make one with prepareData, or again if it was interrupted`,
      { cause: error },
    );
  });
  const expected = (key: string, what: string, got: unknown): ModelFormatError =>
    new ModelFormatError(`${path}: ${key}: expected ${what}, got ${show(got)}`);
  if (json.format !== manifestFormat) throw expected('format', manifestFormat, json.format);
  if (json.version !== manifestVersion) throw expected('version', String(manifestVersion), json.version);
  if (json.dtype !== 'u16' && json.dtype !== 'u32') throw expected('dtype', 'u16 or u32', json.dtype);
  if (!isCount(json.vocabSize) || json.vocabSize < 1 || json.vocabSize > 2 ** 31)
    throw expected('vocabSize', 'a size of 1 or more', json.vocabSize);
  if (!isCount(json.endOfText) || json.endOfText >= json.vocabSize)
    throw expected('endOfText', 'an id of the vocabulary', json.endOfText);
  if (typeof json.tokenizerSha256 !== 'string')
    throw expected('tokenizerSha256', 'a text', json.tokenizerSha256);
  const found = isJsonObject(json.splits) ? json.splits : {};
  for (const split of splits) checkSplit(found[split], (what, got) => expected(`splits.${split}`, what, got));
  return json as unknown as DataManifest;
}

function checkSplit(split: unknown, expected: (what: string, got: unknown) => ModelFormatError): void {
  if (!isJsonObject(split)) throw expected('an object', split);
  const { tokens, documents, bytes, documentsFile, shards } = split;
  if (!isCount(tokens) || !isCount(documents) || !isCount(bytes))
    throw expected('tokens, documents and bytes to be counts', split);
  if (!isFileName(documentsFile)) throw expected('documentsFile to be the name of a file', documentsFile);
  if (!Array.isArray(shards)) throw expected('shards to be a list', shards);
  const sum = (shards as (JsonObject | null)[]).reduce((total, shard) => {
    if (isFileName(shard?.file) && isCount(shard.tokens) && shard.tokens > 0) return total + shard.tokens;
    throw expected('a shard to have file and tokens', shard);
  }, 0);
  if (sum !== tokens) throw expected(`shards of ${tokens} tokens together`, sum);
}
