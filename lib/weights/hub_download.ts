import { createHash, randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { copyFile, mkdir, rename, rm, stat, symlink } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { downloadFile, type ListFileEntry, listFiles, modelInfo } from '@huggingface/hub';
import { ModelFormatError, throwIfAborted } from '../errors.js';
import { indexFileOf, noWeightsError, readShardIndex, weightsFiles } from './checkpoint.js';
import { errorCode } from './file_io.js';
import { show } from './json_file.js';
import { isSideFile } from './side_files.js';

/** A repository of models, at a branch, tag or commit. */
export interface HubSource {
  readonly repo: string;
  readonly revision: string;
}

/** How far a download has come: the file under way, and bytes over all files. */
export interface DownloadProgress {
  readonly file: string;
  readonly loadedBytes: number;
  readonly totalBytes: number;
}

export interface DownloadRequest extends HubSource {
  /** The repository's folder in the cache. */
  readonly storage: string;
  readonly hubUrl: string;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ((progress: DownloadProgress) => void) | undefined;
}

/** What the client's calls share: where, which commit, as whom, and until when. */
interface Remote {
  readonly repo: string;
  readonly revision: string;
  readonly hubUrl: string;
  readonly fetch: typeof fetch;
  readonly accessToken?: string;
}

/**
 * Downloads a model's files into the cache, in Hugging Face's layout: `blobs/ETAG`, linked to from
 * `snapshots/COMMIT/FILE`. Files that are there already are kept. Returns the commit.
 * Errors: ModelFormatError, UnsupportedError, AbortError; the client's and the system's own errors.
 */
export async function downloadModel(request: DownloadRequest): Promise<string> {
  const { signal } = request;
  const accessToken = process.env.HF_TOKEN;
  const remote: Omit<Remote, 'revision'> = {
    repo: request.repo,
    hubUrl: request.hubUrl,
    fetch: (input, init) => fetch(input, signal ? { ...init, signal } : init),
    ...(accessToken ? { accessToken } : {}),
  };
  const named = {
    ...remote,
    name: request.repo,
    revision: request.revision,
    additionalFields: ['sha' as const],
  };
  const { sha } = await modelInfo(named);
  if (!/^[0-9a-f]{40}$/.test(sha))
    throw new ModelFormatError(`hf:${request.repo}: expected a commit of 40 digits, got ${show(sha)}`);
  const atCommit: Remote = { ...remote, revision: sha };
  const files = new Map<string, ListFileEntry>();
  for await (const entry of listFiles(atCommit)) {
    if (entry.type === 'file') files.set(entry.path, entry);
  }
  await new Snapshot(request, atCommit, files).fetchAll();
  return sha;
}

/** One download under way. */
class Snapshot {
  readonly #request: DownloadRequest;
  readonly #remote: Remote;
  readonly #files: ReadonlyMap<string, ListFileEntry>;
  readonly #directory: string;
  #loaded = 0;
  #total = 0;

  constructor(request: DownloadRequest, remote: Remote, files: ReadonlyMap<string, ListFileEntry>) {
    this.#request = request;
    this.#remote = remote;
    this.#files = files;
    this.#directory = join(request.storage, 'snapshots', remote.revision);
  }

  async fetchAll(): Promise<void> {
    const where = `hf:${this.#request.repo}`;
    if (!this.#files.has('config.json')) {
      throw new ModelFormatError(`${where}: expected config.json, got a repository without it`);
    }
    // The weights come last: once they are there, all is.
    const small = [...this.#files.keys()].filter(isSideFile);
    const whole = weightsFiles.find((name) => this.#files.has(name));
    const indexFile = weightsFiles.map(indexFileOf).find((name) => this.#files.has(name));
    if (whole) {
      await this.#fetch([...small, whole]);
    } else if (indexFile) {
      await this.#fetch([...small, indexFile]);
      const shards = await readShardIndex(join(this.#directory, indexFile), { signal: this.#request.signal });
      await this.#fetch([...new Set(shards.values())]);
    } else {
      throw noWeightsError(where, this.#files.keys());
    }
  }

  async #fetch(names: readonly string[]): Promise<void> {
    const entries = names.map((name) => {
      const entry = this.#files.get(name);
      if (entry === undefined) {
        throw new ModelFormatError(
          `hf:${this.#request.repo}: expected the file ${show(name)} of its index, got none`,
        );
      }
      return entry;
    });
    this.#total += entries.reduce((sum, { size }) => sum + size, 0);
    await mkdir(join(this.#request.storage, 'blobs'), { recursive: true });
    await mkdir(this.#directory, { recursive: true });
    for (const entry of entries) {
      throwIfAborted(this.#request.signal);
      const link = join(this.#directory, entry.path);
      if (await isFile(link)) this.#report(entry.path, entry.size);
      else await this.#fetchFile(entry, link);
    }
  }

  async #fetchFile(entry: ListFileEntry, link: string): Promise<void> {
    const etag = entry.lfs?.oid ?? entry.oid ?? '';
    if (!/^[0-9a-f]{40,64}$/.test(etag)) {
      throw new ModelFormatError(
        `hf:${this.#request.repo}: ${entry.path}: expected a hash, got ${show(etag)}`,
      );
    }
    const blob = join(this.#request.storage, 'blobs', etag);
    if (await isFile(blob)) {
      this.#report(entry.path, entry.size);
    } else {
      const temporary = `${blob}.${randomBytes(6).toString('hex')}.incomplete`;
      try {
        await this.#stream(entry, temporary);
        await rename(temporary, blob);
      } finally {
        await rm(temporary, { force: true });
      }
    }
    await linkBlob(blob, link, this.#directory);
  }

  /** Writes a file's bytes to `path` and checks their number and, for large files, their SHA-256. */
  async #stream(entry: ListFileEntry, path: string): Promise<void> {
    // Not by the xet protocol: plain requests end at once when the signal says so.
    const blob = await downloadFile({ ...this.#remote, path: entry.path, xet: false });
    if (blob === null)
      throw new ModelFormatError(`hf:${this.#request.repo}: expected the file ${entry.path}, got none`);
    const hash = createHash('sha256');
    let bytes = 0;
    const report = (length: number) => this.#report(entry.path, length);
    const measure = async function* (chunks: AsyncIterable<Uint8Array>) {
      for await (const chunk of chunks) {
        hash.update(chunk);
        bytes += chunk.length;
        report(chunk.length);
        yield chunk;
      }
    };
    const { signal } = this.#request;
    const body = Readable.fromWeb(blob.stream() as ReadableStream);
    await pipeline(body, measure, createWriteStream(path, { flags: 'wx' }), signal ? { signal } : {});
    const sha256 = hash.digest('hex');
    if (bytes !== entry.size || (entry.lfs !== undefined && entry.lfs.oid !== sha256)) {
      throw new ModelFormatError(
        `hf:${this.#request.repo}: ${entry.path}: expected ${entry.size} bytes${entry.lfs ? ` with sha256 ${entry.lfs.oid}` : ''}, ` +
          `got ${bytes} with ${sha256}: the download was damaged; try again`,
      );
    }
  }

  #report(file: string, bytes: number): void {
    this.#loaded += bytes;
    this.#request.onProgress?.({ file, loadedBytes: this.#loaded, totalBytes: this.#total });
  }
}

const isFile = async (path: string): Promise<boolean> =>
  (await stat(path).catch(() => undefined))?.isFile() ?? false;

/** Makes `link` another name of `blob`: a relative link, or a copy where the system allows no links (Windows). */
async function linkBlob(blob: string, link: string, directory: string): Promise<void> {
  await rm(link, { force: true }); // a link whose blob was deleted
  try {
    await symlink(relative(directory, blob), link);
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return; // another process was faster
    if (errorCode(error) !== 'EPERM') throw error;
    await copyFile(blob, link);
  }
}
