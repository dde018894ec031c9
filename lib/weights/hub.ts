import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { InvalidArgumentError, TrigaError, throwIfAborted } from '../errors.js';
import { indexFileOf, readShardIndex, weightsFiles } from './checkpoint.js';
import type { DownloadProgress, HubSource } from './hub_download.js';
import { show } from './json_file.js';

export interface HubOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
  /** Default: `HF_HUB_CACHE`, else `hub` in `HF_HOME`, else `~/.cache/huggingface/hub`. */
  readonly cacheDir?: string | undefined;
  /** Default: `HF_ENDPOINT`, else https://huggingface.co. */
  readonly hubUrl?: string | undefined;
  /** Answer from the cache alone. Default: whether `HF_HUB_OFFLINE` is set. */
  readonly offline?: boolean | undefined;
}

/** Parses `hf:org/name[@revision]`. Errors: InvalidArgumentError. */
export function parseHubSource(source: string): HubSource {
  const match = /^hf:([\w.-]{1,96}\/[\w.-]{1,96})(?:@([\w./-]{1,200}))?$/.exec(source);
  const [, repo = '', revision = 'main'] = match ?? [];
  // Both become paths in the cache. The Hub itself allows neither '--' nor '..' in names.
  const unsafe = /(^|\/)[.-]|[.-](\/|$)|--|\.\./.test(repo) || /(^|\/)(\.{0,2})(\/|$)/.test(revision);
  if (match === null || unsafe) {
    throw new InvalidArgumentError(
      `model: expected 'hf:org/name' or 'hf:org/name@revision', got ${show(source)}`,
    );
  }
  return { repo, revision };
}

/**
 * The directory of a Hugging Face repository's model: from the local cache if it is complete there, else downloaded
 * into it (configuration, tokenizer, chat template, safetensors; an aborted download is taken up again by file).
 * Private repositories need `HF_TOKEN`.
 * Errors: InvalidArgumentError if the source is malformed, or is not cached and cannot be downloaded, saying why and
 * what helps; ModelFormatError if a download arrives damaged; UnsupportedError for weights in another format; AbortError.
 * Source: https://huggingface.co/docs/huggingface_hub/guides/manage-cache
 */
export async function resolveHubModel(source: string, options: HubOptions = {}): Promise<string> {
  const { repo, revision } = parseHubSource(source);
  const { signal, onProgress } = options;
  throwIfAborted(signal);
  const storage = join(options.cacheDir ?? cacheDirectory(), `models--${repo.replace('/', '--')}`);
  const commit = await cachedCommit(storage, revision);
  const cached = commit === undefined ? undefined : join(storage, 'snapshots', commit);
  const lack = cached === undefined ? 'this revision' : await missingFile(cached, signal);
  if (cached !== undefined && lack === undefined) return cached;
  const uncached = `${source}: expected it in the cache ${storage}, got a cache without ${lack}`;
  if (options.offline ?? isOffline()) {
    throw new InvalidArgumentError(
      `${uncached}, and HF_HUB_OFFLINE forbids downloading: pass a local directory, or unset it`,
    );
  }
  // Loaded here, because the Hub's client is large and a local model never needs it.
  const { downloadModel } = await import('./hub_download.js');
  const hubUrl = (options.hubUrl ?? (process.env.HF_ENDPOINT || 'https://huggingface.co')).replace(
    /\/+$/,
    '',
  );
  try {
    const sha = await downloadModel({ repo, revision, storage, hubUrl, signal, onProgress });
    if (sha !== revision) await writeReference(join(storage, 'refs', revision), sha);
    return join(storage, 'snapshots', sha);
  } catch (error) {
    throwIfAborted(signal);
    throw error instanceof TrigaError ? error : downloadError(uncached, error);
  }
}

/** Where Hugging Face's own libraries keep downloads. */
function cacheDirectory(): string {
  const { HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME, XDG_CACHE_HOME } = process.env;
  const home = HF_HOME || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'huggingface');
  return HF_HUB_CACHE || HUGGINGFACE_HUB_CACHE || join(home, 'hub');
}

const isOffline = (): boolean => /^(1|on|yes|true)$/i.test(process.env.HF_HUB_OFFLINE ?? '');

/** The commit that `refs/REVISION` names, or the revision itself where it is a commit with a snapshot. */
async function cachedCommit(storage: string, revision: string): Promise<string | undefined> {
  const reference = await readFile(join(storage, 'refs', revision), 'utf8').catch(() => undefined);
  const commit = reference?.trim() ?? revision;
  const isPlainName = /^[\w-]{1,64}$/.test(commit);
  return isPlainName && (await isThere(join(storage, 'snapshots', commit))) ? commit : undefined;
}

/** The first file that a model cannot do without and the snapshot lacks. Other programs fetch single files. */
async function missingFile(snapshot: string, signal: AbortSignal | undefined): Promise<string | undefined> {
  if (!(await isThere(join(snapshot, 'config.json')))) return 'config.json';
  for (const weights of weightsFiles) {
    if (await isThere(join(snapshot, weights))) return undefined;
    const index = join(snapshot, indexFileOf(weights));
    if (!(await isThere(index))) continue;
    for (const shard of new Set((await readShardIndex(index, { signal })).values())) {
      if (!(await isThere(join(snapshot, shard)))) return shard;
    }
    return undefined;
  }
  return weightsFiles[0];
}

/** Follows links: a snapshot's file whose blob is gone is not there. */
const isThere = async (path: string): Promise<boolean> =>
  (await stat(path).catch(() => undefined)) !== undefined;

async function writeReference(path: string, commit: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  await writeFile(temporary, commit);
  await rename(temporary, path);
}

function downloadError(uncached: string, error: unknown): InvalidArgumentError {
  const status = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : undefined;
  const [why, remedy] = explain(status, error);
  return new InvalidArgumentError(`${uncached}, and downloading failed: ${why}: ${remedy}`, { cause: error });
}

function explain(status: number | undefined, error: unknown): [why: string, remedy: string] {
  // The Hub answers 401, too, for repositories that do not exist.
  if (status === 401 || status === 403) {
    return [
      `the Hub refused access (${status})`,
      'check the name; for a private or gated model set HF_TOKEN',
    ];
  }
  if (status === 404) return ['the Hub has no such repository or revision (404)', 'check the name'];
  if (status !== undefined)
    return [`the Hub answered ${status}`, 'try again later, or pass a local directory'];
  const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : '';
  const message = error instanceof Error ? error.message : String(error);
  return [message + cause, 'check the network, or download it elsewhere and pass the directory'];
}
