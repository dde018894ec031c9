/** What a document worker and its caller say to each other. */
import type { WorkerFailure } from '../tokenizers/messages.js';
import type { CleanSettings } from './clean_text.js';
import type { DocumentBatch } from './read_batches.js';

export interface DocumentWorkerStart {
  readonly clean: CleanSettings;
  /** Of a line of JSONL, the field that has the text. */
  readonly field: string;
  /** A document that contains one of these is dropped, as are those with a special token of the tokenizer. */
  readonly specialTokens?: readonly string[];
  /** Directory of the tokenizer that texts are encoded with; none: they come back as UTF-8. */
  readonly tokenizer?: string;
  /** Id that is put after each document, with a tokenizer. */
  readonly endOfText?: number;
}

/** What became of a batch. The kept documents' texts or tokens lie one after the other. */
export interface CleanedBatch {
  /** [documents]: 0 kept, else 1 + index of dropCodes. */
  readonly dropped: Uint8Array;
  /** [documents]: bytes as read. */
  readonly rawBytes: Uint32Array;
  /** [kept]: bytes of the clean text. */
  readonly cleanBytes: Uint32Array;
  /** [kept, 4]: 128 bits of each clean text's SHA-256. */
  readonly hashes: Uint32Array;
  /** [kept]: where each ends in `data`. */
  readonly ends: Uint32Array;
  /** UTF-8, or token ids. */
  readonly data: Uint8Array | Int32Array;
}

export type DocumentRequest = Pick<DocumentBatch, 'format' | 'bytes' | 'ends'>;

export type DocumentReply = { readonly cleaned: CleanedBatch } | { readonly failed: WorkerFailure };
