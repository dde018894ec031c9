import { type FileHandle, open, stat } from 'node:fs/promises';
import { InvalidArgumentError, ModelFormatError, TrigaError } from '../errors.js';

/** The `code` of a Node.js system error (`'ENOENT'`, …), or undefined for any other value. */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/**
 * What a failed read of `path` is thrown as: a missing file is `InvalidArgumentError`, any other refusal of the
 * system `ModelFormatError` with the system's error as `cause`. Typed errors, aborts and bugs come back as they are.
 */
function readError(path: string, error: unknown): unknown {
  const code = errorCode(error);
  if (error instanceof TrigaError || code === undefined || code === 'ABORT_ERR') return error;
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new InvalidArgumentError(`${path}: expected a file, got nothing at that path`, { cause: error });
  }
  return new ModelFormatError(`${path}: expected a readable file, got ${code}`, { cause: error });
}

/**
 * Opens a regular file for reading, passes it and its size in bytes to `use`, and closes it.
 * Errors: InvalidArgumentError if it does not exist, ModelFormatError if it is no file or cannot be read.
 */
export async function withFile<T>(
  path: string,
  use: (file: FileHandle, size: number) => Promise<T>,
): Promise<T> {
  try {
    // Asked before opening: to open a pipe would wait for its writer.
    if (!(await stat(path)).isFile()) {
      throw new ModelFormatError(`${path}: expected a regular file, got something else`);
    }
    const file = await open(path, 'r');
    try {
      return await use(file, (await file.stat()).size);
    } finally {
      await file.close();
    }
  } catch (error) {
    throw readError(path, error);
  }
}

/** Fills `target` from the file's bytes at `position`. ModelFormatError if the file ends before. */
export async function readFully(
  file: FileHandle,
  target: Uint8Array,
  position: number,
  path: string,
): Promise<void> {
  let done = 0;
  while (done < target.length) {
    const { bytesRead } = await file.read(target, done, target.length - done, position + done);
    if (bytesRead === 0) {
      throw new ModelFormatError(
        `${path}: expected ${target.length} bytes at offset ${position}, got ${done}: the file was cut short`,
      );
    }
    done += bytesRead;
  }
}
