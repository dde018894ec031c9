import { InvalidArgumentError, OutOfMemoryError } from '../errors.js';
import { dataTokenizer } from './data_tokenizer.js';
import { checkCount, type DocumentOptions, documentSettings } from './document_options.js';
import { eachDocument, type KeptDocument, type ReadProgress } from './documents.js';
import type { DataReport } from './report.js';
import { type SplitOptions, splitRule } from './split_documents.js';
import { TokenData, type TokenDataFacts, type TokenSource } from './token_data.js';

export interface LoadTextDataOptions extends DocumentOptions, SplitOptions {
  /** Directory with the `tokenizer.json` of the model that the data is for. */
  readonly tokenizer: string;
  /** Token that follows each document. Default: `eos_token` of `tokenizer_config.json`. */
  readonly endOfText?: string | undefined;
  /** Most tokens, of four bytes each, that are held. Default 2^27. */
  readonly maxTokens?: number | undefined;
  readonly onProgress?: ((progress: ReadProgress) => void) | undefined;
}

export interface TextData {
  readonly train: TokenData;
  /** Undefined if no document fell to it. */
  readonly validation: TokenData | undefined;
  readonly report: DataReport;
}

const where = 'loadTextData';
const ownNames = ['tokenizer', 'endOfText', 'maxTokens', 'validation', 'seed', 'onProgress'];

/**
 * Reads, cleans and encodes texts as prepareData does, and keeps the tokens in memory: for fine-tuning on a few files. Rejects with
 * InvalidArgumentError (inputs that cannot be read or of which nothing is kept for training, wrong options), ModelFormatError or
 * UnsupportedError (the tokenizer), OutOfMemoryError beyond `maxTokens`, or AbortError.
 */
export async function loadTextData(
  inputs: readonly string[],
  options: LoadTextDataOptions,
): Promise<TextData> {
  const settings = documentSettings(where, options, ownNames);
  const rule = splitRule(where, options);
  const maxTokens = checkCount(where, 'maxTokens', options.maxTokens ?? 2 ** 27, 1, 2 ** 31);
  const { signal } = settings;
  const tokenizer = await dataTokenizer(where, options.tokenizer, { endOfText: options.endOfText, signal });
  const memory = { train: new MemorySplit(), validation: new MemorySplit() };
  const report = await eachDocument({
    inputs,
    settings,
    tokenizer: tokenizer.directory,
    endOfText: tokenizer.endOfText,
    onProgress: options.onProgress,
    take(documents) {
      for (const document of documents) memory[rule.splitOf(document.hash)].append(document);
      const tokens = memory.train.tokens + memory.validation.tokens;
      if (tokens > maxTokens)
        throw new OutOfMemoryError(
          `${where}: expected at most ${maxTokens} tokens, got more; make files of them with prepareData`,
        );
    },
  });
  if (memory.train.documents === 0)
    throw new InvalidArgumentError(
      `${where}: expected documents for training, got all of them for validation; give a smaller share`,
    );
  const facts = {
    vocabSize: tokenizer.vocabSize,
    endOfText: tokenizer.endOfText,
    tokenizerSha256: tokenizer.sha256,
  };
  return {
    train: memory.train.data({ ...facts, name: `${where}: train` }),
    validation:
      memory.validation.documents > 0
        ? memory.validation.data({ ...facts, name: `${where}: validation` })
        : undefined,
    report,
  };
}

/** Collects the documents of a split. */
class MemorySplit {
  readonly #parts: Int32Array[] = [];
  readonly #starts: number[] = [];
  tokens = 0;
  #bytes = 0;

  get documents(): number {
    return this.#starts.length;
  }

  append({ data, bytes }: KeptDocument): void {
    this.#starts.push(this.tokens);
    this.#parts.push(data as Int32Array);
    this.tokens += data.length;
    this.#bytes += bytes;
  }

  data(facts: Omit<TokenDataFacts, 'tokens' | 'documents' | 'bytes'>): TokenData {
    const ids = new Int32Array(this.tokens);
    this.#parts.forEach((part, i) => {
      ids.set(part, this.#starts[i]);
    });
    const source: TokenSource = {
      read(start, target) {
        target.set(ids.subarray(start, start + target.length));
        return Promise.resolve();
      },
      close: () => Promise.resolve(),
    };
    const counts = { tokens: this.tokens, documents: this.documents, bytes: this.#bytes };
    return new TokenData({ ...facts, ...counts }, source, Float64Array.from(this.#starts));
  }
}
