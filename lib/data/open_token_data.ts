import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { InvalidArgumentError, ModelFormatError } from '../errors.js';
import { checkCall } from '../generate/check_call.js';
import { readFully, withFile } from '../weights/file_io.js';
import {
  bytesPerToken,
  type DataManifest,
  readManifest,
  type Split,
  type SplitManifest,
} from './manifest.js';
import { TokenData, type TokenSource } from './token_data.js';

export interface OpenTokenDataOptions {
  /** Default `train`. */
  readonly split?: Split | undefined;
  /** Of the model that will read it: data with more token ids is refused. */
  readonly vocabSize?: number | undefined;
}

/**
 * Opens a directory that prepareData has written. Tokens stay in their files, and are read by position: a mapped file that is cut short
 * would end the process. Rejects with InvalidArgumentError (no such directory, an empty split, a vocabulary that is larger than the
 * model's) or ModelFormatError (a manifest or a file that is damaged).
 */
export async function openTokenData(
  directory: string,
  options: OpenTokenDataOptions = {},
): Promise<TokenData> {
  const where = 'openTokenData';
  checkCall(where, options, { names: ['split', 'vocabSize'], choices: { split: ['train', 'validation'] } });
  const { split = 'train', vocabSize } = options;
  const manifest = await readManifest(directory);
  if (vocabSize !== undefined && manifest.vocabSize > vocabSize) {
    throw new InvalidArgumentError(
      `${where}: ${directory}: expected token ids below the model's vocabulary of ${vocabSize}, got data of a tokenizer ` +
        `with ${manifest.vocabSize}; prepare it with the model's own tokenizer`,
    );
  }
  const found = manifest.splits[split];
  if (found.documents === 0) {
    throw new InvalidArgumentError(
      `${where}: ${directory}: expected documents in the split ${split}, got none; prepare it with a larger share for it, or more documents`,
    );
  }
  const starts = await readStarts(join(directory, found.documentsFile), found);
  const source = await ShardSource.open(directory, manifest, found);
  const { tokens, documents, bytes } = found;
  const facts = { name: `${directory}: ${split}`, tokens, documents, bytes };
  const { endOfText, tokenizerSha256 } = manifest;
  return new TokenData(
    { ...facts, vocabSize: manifest.vocabSize, endOfText, tokenizerSha256 },
    source,
    starts,
  );
}

/** Whether a dataset has documents in that split. */
export const hasSplit = async (directory: string, split: Split): Promise<boolean> =>
  (await readManifest(directory)).splits[split].documents > 0;

/** [documents]: ascending positions below the number of tokens, the first of them 0. */
function readStarts(path: string, { documents, tokens }: SplitManifest): Promise<Float64Array> {
  return withFile(path, async (file, size) => {
    if (size !== 8 * documents) throw wrongSize(path, 8 * documents, size);
    const bytes = Buffer.alloc(size);
    await readFully(file, bytes, 0, path);
    const starts = new Float64Array(documents);
    for (let i = 0; i < documents; i++) {
      starts[i] = Number(bytes.readBigUInt64LE(8 * i));
      const least = i === 0 ? 0 : (starts[i - 1] as number) + 1;
      if ((starts[i] as number) >= least && (starts[i] as number) < tokens && (i > 0 || starts[0] === 0))
        continue;
      throw new ModelFormatError(
        `${path}: expected ascending positions below ${tokens}, got ${starts[i]} at ${i}`,
      );
    }
    return starts;
  });
}

function wrongSize(path: string, expected: number, got: number): ModelFormatError {
  return new ModelFormatError(
    `${path}: expected ${expected} bytes, got ${got}: the file was cut short or is of another dataset; prepare the data again`,
  );
}

interface Shard {
  readonly path: string;
  readonly file: FileHandle;
  /** Positions of its first token and of the next shard's. */
  readonly first: number;
  readonly end: number;
}

/** Token ids in files. */
class ShardSource implements TokenSource {
  readonly #shards: readonly Shard[];
  readonly #width: number;
  readonly #vocabSize: number;

  private constructor(shards: readonly Shard[], { dtype, vocabSize }: DataManifest) {
    this.#shards = shards;
    this.#width = bytesPerToken(dtype);
    this.#vocabSize = vocabSize;
  }

  static async open(
    directory: string,
    manifest: DataManifest,
    { shards }: SplitManifest,
  ): Promise<ShardSource> {
    const width = bytesPerToken(manifest.dtype);
    const opened: Shard[] = [];
    try {
      let first = 0;
      for (const { file: name, tokens } of shards) {
        const path = join(directory, name);
        await withFile(path, (_, size) => {
          if (size !== width * tokens) throw wrongSize(path, width * tokens, size);
          return Promise.resolve();
        });
        opened.push({ path, file: await open(path, 'r'), first, end: first + tokens });
        first += tokens;
      }
      return new ShardSource(opened, manifest);
    } catch (error) {
      await Promise.all(opened.map(({ file }) => file.close()));
      throw error;
    }
  }

  async read(start: number, target: Int32Array): Promise<void> {
    for (let done = 0; done < target.length; ) {
      const position = start + done;
      const shard = this.#shards.find(({ end }) => position < end) as Shard;
      const count = Math.min(target.length - done, shard.end - position);
      await this.#readShard(shard, position - shard.first, target.subarray(done, done + count));
      done += count;
    }
  }

  async #readShard({ path, file }: Shard, at: number, target: Int32Array): Promise<void> {
    const width = this.#width;
    const bytes = Buffer.allocUnsafe(width * target.length);
    await readFully(file, bytes, width * at, path);
    for (let i = 0; i < target.length; i++) {
      const id = width === 2 ? bytes.readUInt16LE(2 * i) : bytes.readUInt32LE(4 * i);
      if (id >= this.#vocabSize) {
        throw new ModelFormatError(
          `${path}: expected token ids below ${this.#vocabSize}, got ${id} at token ${at + i}: the file is damaged; prepare the data again`,
        );
      }
      target[i] = id;
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#shards.map(({ file }) => file.close()));
  }
}
