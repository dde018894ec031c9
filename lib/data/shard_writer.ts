import { type FileHandle, open, rm } from 'node:fs/promises';
import { endianness } from 'node:os';
import { join } from 'node:path';
import { writeError, writeFully } from '../weights/replace_file.js';
import type { KeptDocument } from './documents.js';
import { bytesPerToken, type DataManifest, type Split, type SplitManifest } from './manifest.js';
import { storageError } from './storage_error.js';

/** Tokens and positions are written in pieces of so many bytes. */
const pieceBytes = 1 << 22;

export interface ShardSettings {
  readonly directory: string;
  readonly dtype: DataManifest['dtype'];
  /** Most tokens of a file. */
  readonly shardTokens: number;
  readonly signal: AbortSignal | undefined;
}

/** A file that is written in pieces. What goes wrong is thrown as InvalidArgumentError, or OutOfMemoryError for a full disk. */
class PieceFile {
  readonly name: string;
  readonly #path: string;
  readonly #signal: AbortSignal | undefined;
  #piece = Buffer.allocUnsafe(pieceBytes);
  #file: FileHandle | undefined;
  #filled = 0;

  constructor(name: string, { directory, signal }: ShardSettings) {
    this.name = name;
    this.#path = join(directory, name);
    this.#signal = signal;
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + pieceBytes - this.#filled);
      this.#piece.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled === pieceBytes) await this.#flush();
    }
  }

  /** Writes what is left, and waits until the disk has it. */
  async end(): Promise<void> {
    await this.#flush();
    await this.#try(async (file) => {
      await file.sync();
      await file.close();
    });
    this.#file = undefined;
    this.#piece = Buffer.alloc(0);
  }

  async discard(): Promise<void> {
    await this.#file?.close().catch(() => {});
    await rm(this.#path, { force: true });
  }

  async #flush(): Promise<void> {
    await this.#try((file) => writeFully(file, this.#piece.subarray(0, this.#filled), this.#signal));
    this.#filled = 0;
  }

  async #try(write: (file: FileHandle) => Promise<void>): Promise<void> {
    try {
      this.#file ??= await open(this.#path, 'w');
      await write(this.#file);
    } catch (error) {
      throw storageError(this.#path, writeError(this.#path, error));
    }
  }
}

/** Writes the documents of one split: shards of token ids, and the positions at which documents begin. */
export class ShardWriter {
  readonly #settings: ShardSettings;
  readonly #split: Split;
  readonly #positions: PieceFile;
  readonly #shards: { file: PieceFile; tokens: number }[] = [];
  #tokens = 0;
  #documents = 0;
  #bytes = 0;

  constructor(split: Split, settings: ShardSettings) {
    this.#split = split;
    this.#settings = settings;
    this.#positions = new PieceFile(`${split}-documents.bin`, settings);
  }

  async append({ data, bytes }: KeptDocument): Promise<void> {
    const position = Buffer.alloc(8);
    position.writeBigUInt64LE(BigInt(this.#tokens));
    await this.#positions.write(position);
    this.#documents++;
    this.#bytes += bytes;
    for (let at = 0; at < data.length; ) {
      const shard = await this.#openShard();
      const part = data.subarray(at, at + this.#settings.shardTokens - shard.tokens);
      await shard.file.write(littleEndian(part, bytesPerToken(this.#settings.dtype)));
      shard.tokens += part.length;
      this.#tokens += part.length;
      at += part.length;
    }
  }

  async end(): Promise<SplitManifest> {
    await this.#shards.at(-1)?.file.end();
    await this.#positions.end();
    return {
      tokens: this.#tokens,
      documents: this.#documents,
      bytes: this.#bytes,
      documentsFile: this.#positions.name,
      shards: this.#shards.map(({ file, tokens }) => ({ file: file.name, tokens })),
    };
  }

  /** Removes all that was written. */
  async discard(): Promise<void> {
    await Promise.all(
      [this.#positions, ...this.#shards.map(({ file }) => file)].map((file) => file.discard()),
    );
  }

  async #openShard(): Promise<{ file: PieceFile; tokens: number }> {
    const last = this.#shards.at(-1);
    if (last && last.tokens < this.#settings.shardTokens) return last;
    await last?.file.end();
    const number = String(this.#shards.length).padStart(5, '0');
    const shard = { file: new PieceFile(`${this.#split}-${number}.bin`, this.#settings), tokens: 0 };
    this.#shards.push(shard);
    return shard;
  }
}

function littleEndian(ids: ArrayLike<number>, width: number): Buffer {
  const out = Buffer.from((width === 2 ? new Uint16Array(ids) : new Uint32Array(ids)).buffer);
  if (endianness() === 'LE') return out;
  return width === 2 ? out.swap16() : out.swap32();
}
