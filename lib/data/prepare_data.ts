import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { InvalidArgumentError } from '../errors.js';
import { makeDirectory } from '../weights/model_directory.js';
import { replaceFile, writeFully } from '../weights/replace_file.js';
import { dataTokenizer } from './data_tokenizer.js';
import { checkCount, type DocumentOptions, documentSettings } from './document_options.js';
import { eachDocument, type ReadProgress } from './documents.js';
import { type DataManifest, manifestFormat, manifestName, manifestVersion } from './manifest.js';
import { ShardWriter } from './shard_writer.js';
import { type SplitOptions, splitRule } from './split_documents.js';
import { storageError } from './storage_error.js';

export interface PrepareDataOptions extends DocumentOptions, SplitOptions {
  /** Directory to write to; made if need be. It must not hold a dataset. */
  readonly out: string;
  /** Directory with the `tokenizer.json` of the model that the data is for. */
  readonly tokenizer: string;
  /** Token that follows each document. Default: `eos_token` of `tokenizer_config.json`. */
  readonly endOfText?: string | undefined;
  /** Most tokens of a file. Default 2^27. */
  readonly shardTokens?: number | undefined;
  readonly onProgress?: ((progress: ReadProgress) => void) | undefined;
}

export interface PrepareDataResult extends DataManifest {
  readonly directory: string;
}

const where = 'prepareData';
const ownNames = ['out', 'tokenizer', 'endOfText', 'shardTokens', 'validation', 'seed', 'onProgress'];

/**
 * Makes a dataset of files and directories of text, Markdown and JSONL: reads, cleans, drops duplicates, encodes on all threads, and
 * writes token shards. Texts may be larger than memory. The directory is a dataset once its manifest is there, which comes last; on
 * failure nothing is left. The result depends on the documents and the options alone, not on threads. Rejects with
 * InvalidArgumentError (inputs that cannot be read or of which nothing is kept, wrong options, a directory that has a dataset or cannot
 * be written), ModelFormatError or UnsupportedError (the tokenizer), OutOfMemoryError (a full disk too) or AbortError.
 */
export async function prepareData(
  inputs: readonly string[],
  options: PrepareDataOptions,
): Promise<PrepareDataResult> {
  const settings = documentSettings(where, options, ownNames);
  const rule = splitRule(where, options);
  const { out, onProgress, endOfText } = options;
  for (const name of ['out', 'tokenizer'] as const)
    if (typeof options[name] !== 'string' || options[name] === '')
      throw new InvalidArgumentError(`${where}: expected ${name} to be a path, got ${String(options[name])}`);
  const shardTokens = checkCount(where, 'shardTokens', options.shardTokens ?? 2 ** 27, 1, 2 ** 40);
  const { signal } = settings;
  const tokenizer = await dataTokenizer(where, options.tokenizer, { endOfText, signal });
  await makeDirectory(out);
  await refuseDataset(out);
  const dtype = tokenizer.vocabSize <= 2 ** 16 ? 'u16' : 'u32';
  const shards = { directory: out, dtype, shardTokens, signal } as const;
  const writers = {
    train: new ShardWriter('train', shards),
    validation: new ShardWriter('validation', shards),
  };
  try {
    const report = await eachDocument({
      inputs,
      settings,
      tokenizer: tokenizer.directory,
      endOfText: tokenizer.endOfText,
      onProgress,
      async take(documents) {
        for (const document of documents) await writers[rule.splitOf(document.hash)].append(document);
      },
    });
    const manifest: DataManifest = {
      format: manifestFormat,
      version: manifestVersion,
      dtype,
      vocabSize: tokenizer.vocabSize,
      endOfText: tokenizer.endOfText,
      tokenizerSha256: tokenizer.sha256,
      seed: rule.seed,
      validation: rule.validation,
      splits: { train: await writers.train.end(), validation: await writers.validation.end() },
      report,
    };
    await writeManifest(join(out, manifestName), manifest, signal);
    return { directory: out, ...manifest };
  } catch (error) {
    await Promise.all([writers.train.discard(), writers.validation.discard()]);
    throw error;
  }
}

async function refuseDataset(directory: string): Promise<void> {
  const path = join(directory, manifestName);
  if (await stat(path).catch(() => undefined))
    throw new InvalidArgumentError(
      `${where}: expected a directory without a dataset, got ${path}; remove it or choose another`,
    );
}

async function writeManifest(
  path: string,
  manifest: DataManifest,
  signal: AbortSignal | undefined,
): Promise<void> {
  const bytes = Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`);
  try {
    await replaceFile(path, (file) => writeFully(file, bytes, signal));
  } catch (error) {
    throw storageError(path, error);
  }
}
