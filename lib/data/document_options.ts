import { availableParallelism } from 'node:os';
import { InvalidArgumentError } from '../errors.js';
import { checkCall } from '../generate/check_call.js';
import type { CleanSettings } from './clean_text.js';
import type { InputFormat } from './input_files.js';

/** How documents are read and cleaned. */
export interface DocumentOptions {
  /** Of all files; default: by their endings, .txt, .md and .jsonl. */
  readonly format?: InputFormat | undefined;
  /** Field of a line of JSONL that has the text. Default `text`. */
  readonly field?: string | undefined;
  /** What stands between two documents of a text file, such as `<|endoftext|>`. Default: a file is one document. */
  readonly separator?: string | undefined;
  /**
   * Whether line ends become \n, Unicode NFC, and control characters and white space around the text go. Default true; false is for
   * models that are to know texts as their files have them.
   */
  readonly normalize?: boolean | undefined;
  /** Whether Project Gutenberg's header and licence, and the front matter of Markdown, are cut off. Default true. */
  readonly boilerplate?: boolean | undefined;
  /** Least length of a cleaned document, in UTF-16 code units. Default 1. */
  readonly minLength?: number | undefined;
  /** Greatest length. Default: none. */
  readonly maxLength?: number | undefined;
  /** Whether texts that say the same again and again are dropped. Default true. */
  readonly repetition?: boolean | undefined;
  /** Whether of documents whose cleaned texts are equal only the first is kept. Default true. */
  readonly deduplicate?: boolean | undefined;
  /**
   * Longest document that is read, in bytes. A text that is longer is cut at the end of a line or word into several; a longer line of
   * JSONL is dropped. Default 16 MiB.
   */
  readonly maxDocumentBytes?: number | undefined;
  /** Threads that work for it. Default: as many as the process may use. */
  readonly threads?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface DocumentSettings {
  readonly format: InputFormat | undefined;
  readonly field: string;
  readonly separator: string | undefined;
  readonly clean: CleanSettings;
  readonly deduplicate: boolean;
  readonly maxDocumentBytes: number;
  readonly threads: number;
  readonly signal: AbortSignal | undefined;
}

const documentNames = [
  'format',
  'field',
  'separator',
  'normalize',
  'boilerplate',
  'minLength',
  'maxLength',
  'repetition',
  'deduplicate',
  'maxDocumentBytes',
  'threads',
  'signal',
] as const satisfies readonly (keyof DocumentOptions)[];

/** Checks the options of the function `where`, whose own ones are `names`. Throws InvalidArgumentError. */
export function documentSettings(
  where: string,
  options: DocumentOptions,
  names: readonly string[],
): DocumentSettings {
  checkCall(where, options, {
    names: [...documentNames, ...names],
    choices: { format: ['text', 'markdown', 'jsonl'] },
  });
  const { field = 'text', separator, signal } = options;
  if (separator === '') throw new InvalidArgumentError(`${where}: expected a separator of one byte or more`);
  const length = (name: 'minLength' | 'maxLength', fallback: number): number =>
    options[name] === undefined ? fallback : checkCount(where, name, options[name], 1, 2 ** 31 - 1);
  return {
    format: options.format,
    field,
    separator,
    clean: {
      normalize: options.normalize ?? true,
      boilerplate: options.boilerplate ?? true,
      repetition: options.repetition ?? true,
      minLength: length('minLength', 1),
      maxLength: length('maxLength', 2 ** 31 - 1),
    },
    deduplicate: options.deduplicate ?? true,
    maxDocumentBytes: checkCount(where, 'maxDocumentBytes', options.maxDocumentBytes ?? 2 ** 24, 16, 2 ** 28),
    threads: checkCount(where, 'threads', options.threads ?? availableParallelism(), 1, 256),
    signal,
  };
}

/** An integer option from `least` to `most`. Throws InvalidArgumentError. */
export function checkCount(where: string, name: string, value: unknown, least: number, most: number): number {
  if (Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most)
    return value as number;
  throw new InvalidArgumentError(
    `${where}: expected ${name} to be an integer from ${least} to ${most}, got ${String(value)}`,
  );
}
