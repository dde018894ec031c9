import { join } from 'node:path';
import { InvalidArgumentError, throwIfAborted } from '../errors.js';
import { loadBinding, type NativeBpeTrainer } from '../exec/binding.js';
import { byteAlphabet, byteLevelFiles } from '../tokenizers/byte_level.js';
import { makeDirectory } from '../weights/model_directory.js';
import { replaceFile, writeFully } from '../weights/replace_file.js';
import { checkCount, type DocumentOptions, documentSettings } from './document_options.js';
import { eachDocument, type KeptDocument } from './documents.js';
import { joined } from './encode_documents.js';
import type { DataReport } from './report.js';
import { storageError } from './storage_error.js';

export interface TrainTokenizerOptions extends DocumentOptions {
  /** Tokens in all: special ones, 256 bytes, and merges. */
  readonly vocabSize: number;
  /** Get the first ids. The first one begins and ends texts. Default `['<|endoftext|>']`. */
  readonly specialTokens?: readonly string[] | undefined;
  /** Pairs that occur less often are not merged. Default 2. */
  readonly minFrequency?: number | undefined;
  /** Directory to write `tokenizer.json` and `tokenizer_config.json` to; made if need be. Default: none is written. */
  readonly out?: string | undefined;
  /** Told of bytes that are read, then of merges that are learned. */
  readonly onProgress?: ((progress: TrainTokenizerProgress) => void) | undefined;
}

export interface TrainTokenizerProgress {
  readonly phase: 'reading' | 'learning';
  readonly done: number;
  readonly total: number;
}

export interface TrainTokenizerResult {
  /** What `tokenizer.json` and `tokenizer_config.json` hold. */
  readonly tokenizer: object;
  readonly config: object;
  /** Tokens that it has: fewer than asked for where the texts have no more pairs that recur. */
  readonly vocabSize: number;
  readonly merges: number;
  /** Words that differ, as GPT-2's pattern cuts texts into words. */
  readonly words: number;
  /** Words of more than 1024 bytes, which do not count. */
  readonly longWords: number;
  readonly report: DataReport;
}

const ownNames = ['vocabSize', 'specialTokens', 'minFrequency', 'out', 'onProgress'];
const where = 'trainTokenizer';

/**
 * Trains a byte-level BPE tokenizer, as GPT-2's, on files and directories of text, Markdown and JSONL: words are counted by the engine
 * while documents come in, then the most frequent pair of neighbours becomes a token, again and again (Sennrich et al., 2016). The
 * result depends on the documents alone, not on threads. Rejects with InvalidArgumentError (inputs that cannot be read or have no
 * documents, options out of range, a directory that cannot be written), DeviceUnavailableError without the addon, OutOfMemoryError or
 * AbortError.
 */
export async function trainTokenizer(
  inputs: readonly string[],
  options: TrainTokenizerOptions,
): Promise<TrainTokenizerResult> {
  const settings = documentSettings(where, options, ownNames);
  const { specialTokens = ['<|endoftext|>'], out, onProgress } = options;
  const { threads, signal } = settings;
  checkSpecialTokens(specialTokens);
  const base = specialTokens.length + byteAlphabet.length;
  const vocabSize = checkCount(where, 'vocabSize', options.vocabSize, base, 2 ** 24);
  const minFrequency = checkCount(where, 'minFrequency', options.minFrequency ?? 2, 1, 2 ** 31 - 1);
  throwIfAborted(signal);
  if (out !== undefined) await makeDirectory(out);
  const trainer = new (loadBinding().BpeTrainer)(threads, byteAlphabet);
  const cancel = (): void => trainer.cancel();
  signal?.addEventListener('abort', cancel);
  try {
    const report = await eachDocument({
      inputs,
      settings,
      specialTokens,
      onProgress: ({ loaded, total }) => onProgress?.({ phase: 'reading', done: loaded, total }),
      take: (documents) => count(trainer, documents),
    });
    throwIfAborted(signal);
    await trainer.learn(vocabSize - specialTokens.length, minFrequency, (merges) =>
      onProgress?.({ phase: 'learning', done: merges, total: vocabSize - base }),
    );
    const { merges, words, longWords } = trainer;
    const files = byteLevelFiles({ specialTokens, merges });
    if (out !== undefined) await writeFiles(out, files, signal);
    return { ...files, merges: merges.length / 3, words, longWords, report };
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
}

function checkSpecialTokens(tokens: readonly string[]): void {
  const fits = Array.isArray(tokens) && tokens.every((token) => typeof token === 'string' && token !== '');
  if (!fits || tokens.length === 0)
    throw new InvalidArgumentError(
      `${where}: expected specialTokens to be one text or more, got ${JSON.stringify(tokens)}`,
    );
  const twice = tokens.find((token, index) => tokens.indexOf(token) !== index);
  if (twice !== undefined)
    throw new InvalidArgumentError(
      `${where}: expected each of specialTokens once, got ${JSON.stringify(twice)} twice`,
    );
}

async function count(trainer: NativeBpeTrainer, documents: readonly KeptDocument[]): Promise<void> {
  const { data, ends } = joined(
    documents.map((document) => document.data),
    Uint8Array,
  );
  await trainer.count(data, ends);
}

async function writeFiles(
  directory: string,
  files: { readonly tokenizer: object; readonly config: object },
  signal: AbortSignal | undefined,
): Promise<void> {
  const contents = [
    ['tokenizer.json', files.tokenizer],
    ['tokenizer_config.json', files.config],
  ] as const;
  for (const [name, content] of contents) {
    const path = join(directory, name);
    const bytes = Buffer.from(`${JSON.stringify(content, null, 1)}\n`);
    await replaceFile(path, (file) => writeFully(file, bytes, signal)).catch((error: unknown) => {
      throw storageError(path, error);
    });
  }
}
