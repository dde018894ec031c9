import { copyFile, mkdir, readdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { InvalidArgumentError, throwIfAborted } from '../errors.js';
import type { JsonObject } from './json_file.js';
import { replaceFile, writeError, writeFully } from './replace_file.js';
import { isSideFile } from './side_files.js';

/** Checks the two paths of a function `where` that makes one model directory of another. Throws InvalidArgumentError. */
export function checkPaths(
  where: string,
  paths: { readonly source: unknown; readonly directory: unknown },
): void {
  for (const [name, path] of Object.entries(paths))
    if (typeof path !== 'string' || path === '')
      throw new InvalidArgumentError(`${where}: expected ${name} to be a path, got ${String(path)}`);
}

/** Makes a directory to write a model to, if need be. */
export async function makeDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true }).catch((error: unknown) => {
    throw writeError(directory, error);
  });
}

/** Whether two directories that exist are the same one. */
export const isSameDirectory = async (a: string, b: string): Promise<boolean> =>
  (await realpath(a)) === (await realpath(b));

/** Copies configuration, tokenizer and template; into the model's own directory, nothing. The files' names. */
export async function copySideFiles(
  from: string,
  to: string,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const files = (await readdir(from)).filter(isSideFile).sort();
  if (await isSameDirectory(from, to)) return files;
  for (const file of files) {
    throwIfAborted(signal);
    await copyFile(join(from, file), join(to, file)).catch((error: unknown) => {
      throw writeError(join(to, file), error);
    });
  }
  return files;
}

/** Writes config.json, whole or not at all. */
export async function writeConfig(
  directory: string,
  config: JsonObject,
  signal: AbortSignal | undefined,
): Promise<void> {
  const bytes = new TextEncoder().encode(`${JSON.stringify(config, null, 2)}\n`);
  await replaceFile(join(directory, 'config.json'), (file) => writeFully(file, bytes, signal));
}
