import { InvalidArgumentError } from '../errors.js';
import type { DocumentWorkerStart } from './document_messages.js';
import type { DocumentSettings } from './document_options.js';
import { cleanBatches } from './document_pool.js';
import { dropCodes } from './drop_reasons.js';
import { HashSet } from './hash_set.js';
import { inputFiles } from './input_files.js';
import { readBatches } from './read_batches.js';
import { type DataReport, describeReport, ReportBuilder } from './report.js';

/** A document that was kept. */
export interface KeptDocument {
  /** Its UTF-8, or its token ids. */
  readonly data: Uint8Array | Int32Array;
  /** Of its cleaned text. */
  readonly bytes: number;
  /** [4]: 128 bits of its cleaned text's SHA-256. */
  readonly hash: Uint32Array;
}

export interface ReadProgress {
  /** Bytes of the files that are done, and of all. */
  readonly loaded: number;
  readonly total: number;
}

export interface DocumentCall extends Pick<DocumentWorkerStart, 'specialTokens' | 'tokenizer' | 'endOfText'> {
  readonly inputs: readonly string[];
  readonly settings: DocumentSettings;
  readonly onProgress: ((progress: ReadProgress) => void) | undefined;
  /** Takes the kept documents of a batch, in order. */
  readonly take: (documents: readonly KeptDocument[]) => Promise<void> | void;
}

/**
 * Reads, cleans and, where there is a tokenizer, encodes documents in worker threads, and hands on those that are kept, in their order.
 * Returns what became of all. Rejects with InvalidArgumentError for inputs that cannot be read, or of which nothing is kept, with what
 * `take` throws, and with AbortError.
 */
export async function eachDocument(call: DocumentCall): Promise<DataReport> {
  const { inputs, settings, onProgress, take, ...start } = call;
  const { clean, field, threads, signal, deduplicate } = settings;
  const files = await inputFiles(inputs, settings.format);
  const total = files.reduce((sum, file) => sum + file.bytes, 0);
  const counts = new ReportBuilder(files.length);
  const seen = new HashSet();
  let loaded = 0;
  for await (const { batch, cleaned } of cleanBatches(readBatches(files, settings), {
    ...start,
    clean,
    field,
    threads,
    signal,
  })) {
    counts.drop('too_long', batch.oversized.documents, batch.oversized.bytes);
    const documents: KeptDocument[] = [];
    let kept = 0;
    for (const [i, code] of cleaned.dropped.entries()) {
      const rawBytes = cleaned.rawBytes[i] as number;
      const reason = dropCodes[code - 1];
      if (reason !== undefined) {
        counts.drop(reason, 1, rawBytes);
        continue;
      }
      const index = kept++;
      if (deduplicate && !seen.add(cleaned.hashes, 4 * index)) {
        counts.drop('duplicate', 1, rawBytes);
        continue;
      }
      const bytes = cleaned.cleanBytes[index] as number;
      counts.keep(rawBytes, bytes);
      const data = cleaned.data.subarray(cleaned.ends[index - 1] ?? 0, cleaned.ends[index]);
      documents.push({ data, bytes, hash: cleaned.hashes.subarray(4 * index, 4 * index + 4) });
    }
    if (documents.length > 0) await take(documents);
    loaded += batch.bytes.length + batch.oversized.bytes;
    onProgress?.({ loaded: Math.min(loaded, total), total });
  }
  const { report } = counts;
  if (report.kept.documents > 0) return report;
  throw new InvalidArgumentError(
    `data: expected at least one document that is kept, got none of ${inputs.join(', ')}:\n${describeReport(report)}`,
  );
}
