import { InvalidArgumentError, throwIfAborted } from '../errors.js';
import { checkCall } from '../generate/check_call.js';
import { checkCount } from './document_options.js';
import { mixWords, seedWords } from './mix.js';
import { permute } from './permute.js';

/** Where tokens lie. */
export interface TokenSource {
  /** Fills `target` with the tokens from position `start`. */
  read(start: number, target: Int32Array): Promise<void>;
  close(): Promise<void>;
}

export interface TokenDataFacts {
  /** What messages call it. */
  readonly name: string;
  /** Tokens in all, with one end of text for each document. */
  readonly tokens: number;
  readonly documents: number;
  /** UTF-8 bytes of the documents' texts: bits per byte are nats per token · tokens / (bytes · ln 2). */
  readonly bytes: number;
  /** Largest token id + 1 of the tokenizer. */
  readonly vocabSize: number;
  /** Id of the token that follows each document. */
  readonly endOfText: number;
  /** SHA-256 of the `tokenizer.json` that made the tokens, in hexadecimal. */
  readonly tokenizerSha256: string;
}

export interface BatchOptions {
  /** Positions of a row that are predicted: a row has one token more. */
  readonly contextLength: number;
  readonly batchSize: number;
  /** Of the order of windows. Default 0. */
  readonly seed?: number | undefined;
  /** Whether windows come in a random order, another in each epoch. Default true; without it they come as they lie. */
  readonly shuffle?: boolean | undefined;
}

export interface TokenBatch {
  /** [batchSize, contextLength + 1]: inputs are all but the last of a row, targets all but the first. */
  readonly ids: Int32Array;
  /** For each row the offsets, ascending, at which a document begins: attention and loss must not look over these. */
  readonly documentStarts: readonly Int32Array[];
  readonly epoch: number;
}

/** Batches by their number: a pure function of the data, the options and the step, so that training resumes anywhere. */
export interface TokenBatches {
  readonly contextLength: number;
  readonly batchSize: number;
  /** Rows that an epoch has. The last batch of an epoch ends in rows of the next. */
  readonly windowsPerEpoch: number;
  readonly stepsPerEpoch: number;
  batch(step: number, options?: { readonly signal?: AbortSignal | undefined }): Promise<TokenBatch>;
}

/** Tokens of documents, one after the other. Close it to free its files. */
export class TokenData implements AsyncDisposable {
  readonly name: string;
  readonly tokens: number;
  readonly documents: number;
  readonly bytes: number;
  readonly vocabSize: number;
  readonly endOfText: number;
  readonly tokenizerSha256: string;
  readonly #source: TokenSource;
  /** [documents]: positions of their first tokens. */
  readonly #starts: Float64Array;

  constructor(facts: TokenDataFacts, source: TokenSource, starts: Float64Array) {
    this.name = facts.name;
    this.tokens = facts.tokens;
    this.documents = facts.documents;
    this.bytes = facts.bytes;
    this.vocabSize = facts.vocabSize;
    this.endOfText = facts.endOfText;
    this.tokenizerSha256 = facts.tokenizerSha256;
    this.#source = source;
    this.#starts = starts;
  }

  /** `count` token ids from position `start`. Rejects with InvalidArgumentError out of range, ModelFormatError for damaged files. */
  async read(start: number, count: number): Promise<Int32Array> {
    checkCount(this.name, 'start', start, 0, this.tokens);
    const target = new Int32Array(checkCount(this.name, 'count', count, 0, this.tokens - start));
    await this.#source.read(start, target);
    return target;
  }

  /** Rows of `contextLength` + 1 tokens. Throws InvalidArgumentError for wrong options, and for data that is shorter than a row. */
  batches(options: BatchOptions): TokenBatches {
    const { contextLength, batchSize, seed, shuffle } = this.#checked(options);
    // An epoch begins at one of so many positions, so that windows fall elsewhere each time.
    const offsets = shuffle ? Math.min(contextLength, this.tokens - contextLength) : 1;
    const windows = Math.floor((this.tokens - offsets) / contextLength);
    const key = seedWords(seed);
    const startOf = (row: number): { epoch: number; start: number } => {
      const epoch = Math.floor(row / windows);
      const index = row % windows;
      if (!shuffle) return { epoch, start: index * contextLength };
      const window = permute(index, windows, [epoch, ...key]);
      return { epoch, start: (mixWords(epoch, ...key) % offsets) + window * contextLength };
    };
    return {
      contextLength,
      batchSize,
      windowsPerEpoch: windows,
      stepsPerEpoch: Math.ceil(windows / batchSize),
      batch: async (step, { signal } = {}) => {
        checkCount(`${this.name}: batch`, 'step', step, 0, Math.floor(2 ** 50 / batchSize));
        throwIfAborted(signal);
        const rows = Array.from({ length: batchSize }, (_, row) => startOf(step * batchSize + row));
        const length = contextLength + 1;
        const ids = new Int32Array(batchSize * length);
        await Promise.all(
          rows.map(({ start }, row) =>
            this.#source.read(start, ids.subarray(row * length, (row + 1) * length)),
          ),
        );
        const documentStarts = rows.map(({ start }) => this.#startsWithin(start, length));
        return { ids, documentStarts, epoch: rows[0]?.epoch as number };
      },
    };
  }

  close(): Promise<void> {
    return this.#source.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #checked(
    options: BatchOptions,
  ): Required<{ [K in keyof BatchOptions]: Exclude<BatchOptions[K], undefined> }> {
    const where = `${this.name}: batches`;
    const names = ['contextLength', 'batchSize', 'seed', 'shuffle'];
    checkCall(where, options, { names, choices: { shuffle: ['true', 'false'] } });
    const contextLength = checkCount(where, 'contextLength', options.contextLength, 1, 2 ** 24);
    const batchSize = checkCount(where, 'batchSize', options.batchSize, 1, 2 ** 20);
    const seed = checkCount(where, 'seed', options.seed ?? 0, 0, Number.MAX_SAFE_INTEGER);
    if (this.tokens > contextLength)
      return { contextLength, batchSize, seed, shuffle: options.shuffle ?? true };
    throw new InvalidArgumentError(
      `${where}: expected more than ${contextLength} tokens for a row, got ${this.tokens}; give more text or a smaller contextLength`,
    );
  }

  #startsWithin(first: number, length: number): Int32Array {
    const found: number[] = [];
    for (let i = lowerBound(this.#starts, first); i < this.#starts.length; i++) {
      const offset = (this.#starts[i] as number) - first;
      if (offset >= length) break;
      found.push(offset);
    }
    return Int32Array.from(found);
  }
}

/** Index of the first of the ascending numbers that is at least `value`. */
function lowerBound(numbers: Float64Array, value: number): number {
  let [low, high] = [0, numbers.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((numbers[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
