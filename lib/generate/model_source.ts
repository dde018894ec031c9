import { fileURLToPath } from 'node:url';
import { InvalidArgumentError } from '../errors.js';
import type { HubOptions } from '../weights/hub.js';
import { isHubSource } from '../weights/is_hub_source.js';

interface SourceOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: { readonly loaded: number; readonly total: number }) => void) | undefined;
}

/**
 * Directory of the built-in model; lib/models/default/README.md is its card. lib/generate, dist/generate and dist/bundle lie equally
 * deep, so that one path serves them all.
 */
export const defaultModel: string = fileURLToPath(new URL('../../lib/models/default', import.meta.url));

/** Checks what the function `where` is to load. Throws InvalidArgumentError. */
export function checkSource(where: string, source: unknown): asserts source is string {
  if (typeof source !== 'string' || source === '')
    throw new InvalidArgumentError(
      `${where}: expected a model directory or 'hf:org/name', got ${String(source)}`,
    );
}

/** The directory of a source; one of the Hub is downloaded where the cache lacks it. */
export async function directoryOf(source: string, options: SourceOptions): Promise<string> {
  if (!isHubSource(source)) return source;
  const { resolveHubModel } = await import('../weights/hub.js');
  return await resolveHubModel(source, hubOptions(options));
}

/** Progress of a download is told as that of reading is. */
const hubOptions = ({ signal, onProgress }: SourceOptions): HubOptions => ({
  signal,
  onProgress: ({ loadedBytes, totalBytes }) => onProgress?.({ loaded: loadedBytes, total: totalBytes }),
});
