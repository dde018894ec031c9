import { type FileHandle, open } from 'node:fs/promises';
import { InvalidArgumentError, throwIfAborted } from '../errors.js';
import type { InputFile, InputFormat } from './input_files.js';

/** Documents as they lie in files of one format, one after the other. */
export interface DocumentBatch {
  readonly format: InputFormat;
  readonly bytes: Uint8Array;
  /** [documents]: where each ends in `bytes`. */
  readonly ends: Uint32Array;
  /** Documents that were passed over because they are longer than what is read of one, and their bytes. */
  readonly oversized: { readonly documents: number; readonly bytes: number };
}

export interface ReadSettings {
  /** Longest document, in bytes. A text that is longer is cut at the end of a line or word; where it has none, and a longer line of
   * JSONL, are passed over. */
  readonly maxDocumentBytes: number;
  /** What stands between two documents of a text file. */
  readonly separator: string | undefined;
  readonly signal: AbortSignal | undefined;
}

const chunkBytes = 1 << 20;
/** Documents are handed on in batches of about so many bytes. */
const batchBytes = 1 << 20;
const newline = 0x0a;
const space = 0x20;

/**
 * Reads files in pieces of a mebibyte, and yields their documents in order. Memory is bounded by the longest document, whatever the
 * size of files and lines. Throws InvalidArgumentError for a file that cannot be read.
 */
export async function* readBatches(
  files: readonly InputFile[],
  settings: ReadSettings,
): AsyncGenerator<DocumentBatch> {
  let batch = new BatchBuilder('text');
  for (const { path, format } of files) {
    if (format !== batch.format && !batch.isEmpty) yield batch.take();
    if (format !== batch.format) batch = new BatchBuilder(format);
    const cutter =
      format === 'jsonl' ? new Cutter('\n', settings, false) : new Cutter(settings.separator, settings, true);
    for await (const chunk of chunksOf(path, settings.signal)) {
      cutter.add(chunk, batch);
      while (batch.isFull) yield batch.take();
    }
    cutter.end(batch);
    if (batch.isFull) yield batch.take();
  }
  if (!batch.isEmpty) yield batch.take();
}

async function* chunksOf(path: string, signal: AbortSignal | undefined): AsyncGenerator<Buffer> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'r');
    for (;;) {
      throwIfAborted(signal);
      const { buffer, bytesRead } = await file.read(Buffer.allocUnsafeSlow(chunkBytes), 0, chunkBytes);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } catch (cause) {
    // Only what the system says of the file: aborts and errors of whoever takes the chunks come through here too.
    if (!(cause instanceof Error && 'syscall' in cause)) throw cause;
    const { message } = cause;
    throw new InvalidArgumentError(`${path}: cannot be read: ${message}`, { cause });
  } finally {
    await file?.close();
  }
}

class BatchBuilder {
  readonly format: InputFormat;
  #parts: Uint8Array[] = [];
  #ends: number[] = [];
  #bytes = 0;
  #oversized = { documents: 0, bytes: 0 };

  constructor(format: InputFormat) {
    this.format = format;
  }

  get isEmpty(): boolean {
    return this.#ends.length === 0 && this.#oversized.bytes === 0;
  }

  get isFull(): boolean {
    return this.#bytes >= batchBytes || this.#ends.length >= 1 << 16;
  }

  add(document: readonly Uint8Array[]): void {
    for (const part of document) {
      this.#parts.push(part);
      this.#bytes += part.length;
    }
    this.#ends.push(this.#bytes);
  }

  addOversized(documents: number, bytes: number): void {
    this.#oversized.documents += documents;
    this.#oversized.bytes += bytes;
  }

  take(): DocumentBatch {
    const bytes = new Uint8Array(this.#bytes);
    let at = 0;
    for (const part of this.#parts) {
      bytes.set(part, at);
      at += part.length;
    }
    const batch = {
      format: this.format,
      bytes,
      ends: Uint32Array.from(this.#ends),
      oversized: this.#oversized,
    };
    [this.#parts, this.#ends, this.#bytes, this.#oversized] = [[], [], 0, { documents: 0, bytes: 0 }];
    return batch;
  }
}

/** Cuts one file's stream of bytes into documents. */
class Cutter {
  readonly #separator: Buffer | undefined;
  readonly #most: number;
  /** Whether what is too long is cut, and not passed over. */
  readonly #cuts: boolean;
  /** What was read of the document so far. */
  #held: Uint8Array[] = [];
  #bytes = 0;
  /** Whether the rest of the document is passed over. */
  #skipping = false;
  /** The end of the last chunk, where a separator may have begun. */
  #tail: Buffer = Buffer.alloc(0);

  constructor(separator: string | undefined, { maxDocumentBytes }: ReadSettings, cuts: boolean) {
    this.#separator = separator === undefined ? undefined : Buffer.from(separator);
    this.#most = maxDocumentBytes;
    this.#cuts = cuts;
  }

  add(chunk: Buffer, batch: BatchBuilder): void {
    const separator = this.#separator;
    let rest = this.#tail.length > 0 ? Buffer.concat([this.#tail, chunk]) : chunk;
    this.#tail = Buffer.alloc(0);
    if (separator !== undefined) {
      for (let at = rest.indexOf(separator); at >= 0; at = rest.indexOf(separator)) {
        this.#take(rest.subarray(0, at), batch);
        this.end(batch);
        rest = rest.subarray(at + separator.length);
      }
      const kept = Math.min(separator.length - 1, rest.length);
      this.#tail = rest.subarray(rest.length - kept);
      rest = rest.subarray(0, rest.length - kept);
    }
    this.#take(rest, batch);
  }

  /** The document ends here. */
  end(batch: BatchBuilder): void {
    if (this.#tail.length > 0) this.#take(this.#tail, batch);
    this.#tail = Buffer.alloc(0);
    if (this.#bytes > 0) batch.add(this.#held);
    [this.#held, this.#bytes, this.#skipping] = [[], 0, false];
  }

  #take(bytes: Uint8Array, batch: BatchBuilder): void {
    let rest = this.#skipping ? this.#resume(bytes, batch) : bytes;
    while (!this.#skipping && this.#bytes + rest.length > this.#most) {
      if (!this.#cuts) {
        this.#skip(batch);
        rest = this.#resume(rest, batch);
        break;
      }
      const all = Buffer.concat([...this.#held, rest.subarray(0, this.#most - this.#bytes)]);
      rest = rest.subarray(this.#most - this.#bytes);
      const cut = lastCut(all);
      if (cut === 0) {
        this.#held = [all];
        this.#bytes = all.length;
        this.#skip(batch);
        rest = this.#resume(rest, batch);
        continue;
      }
      batch.add([all.subarray(0, cut)]);
      this.#held = [all.subarray(cut)];
      this.#bytes = all.length - cut;
    }
    if (rest.length > 0) this.#held.push(rest);
    this.#bytes += rest.length;
  }

  /** What is left of `bytes` after what is passed over: of a text, all that follows the end of the line. */
  #resume(bytes: Uint8Array, batch: BatchBuilder): Uint8Array {
    const line = this.#cuts ? bytes.indexOf(newline) : -1;
    const passed = line < 0 ? bytes.length : line + 1;
    batch.addOversized(0, passed);
    this.#skipping = line < 0;
    return bytes.subarray(passed);
  }

  #skip(batch: BatchBuilder): void {
    batch.addOversized(1, this.#bytes);
    [this.#held, this.#bytes, this.#skipping] = [[], 0, true];
  }
}

/** Where to cut a text that is too long: after its last line, else before its last space; 0: nowhere. */
function lastCut(text: Buffer): number {
  const line = text.lastIndexOf(newline);
  return line >= 0 ? line + 1 : Math.max(text.lastIndexOf(space), 0);
}
