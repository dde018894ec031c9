import { randomBytes } from 'node:crypto';
import { type FileHandle, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { InvalidArgumentError, throwIfAborted } from '../errors.js';
import { errorCode } from './file_io.js';

const chunkBytes = 16 * 2 ** 20;

/** Writes all the bytes, at the file's end or at `position`, or throws AbortError. */
export async function writeFully(
  file: FileHandle,
  bytes: Uint8Array,
  signal: AbortSignal | undefined,
  position?: number,
): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    throwIfAborted(signal);
    const length = Math.min(chunkBytes, bytes.length - done);
    const at = position === undefined ? null : position + done;
    done += (await file.write(bytes, done, length, at)).bytesWritten;
  }
}

/**
 * Lets `write` fill a new file that then takes the place of `path`; on failure nothing is left behind.
 * Errors: InvalidArgumentError for a path that cannot be written; what `write` throws; the system's own where the disk is full or fails.
 */
export async function replaceFile(path: string, write: (file: FileHandle) => Promise<void>): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  const file = await open(temporary, 'wx').catch((error: unknown) => {
    throw writeError(path, error);
  });
  try {
    try {
      await write(file);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw writeError(path, error);
  }
  await syncDirectory(dirname(path));
}

/** Removes files that {@link replaceFile} left in a directory when the process was killed. */
export async function removeTemporaries(directory: string): Promise<void> {
  for (const name of await readdir(directory))
    if (/\.[0-9a-f]{12}\.tmp$/.test(name)) await rm(join(directory, name), { force: true });
}

const pathCodes: ReadonlySet<string | undefined> = new Set([
  'ENOENT',
  'EEXIST',
  'ENOTDIR',
  'EISDIR',
  'EACCES',
  'EPERM',
  'EROFS',
  'ENAMETOOLONG',
  'ELOOP',
  'ERR_INVALID_ARG_VALUE',
]);

/** What a failure to write `path` is thrown as. */
export function writeError(path: string, error: unknown): unknown {
  const code = errorCode(error);
  if (!pathCodes.has(code)) return error;
  return new InvalidArgumentError(`${path}: expected a path that can be written, got ${code}`, {
    cause: error,
  });
}

/** Makes the rename durable. Windows cannot open directories, and some file systems refuse: then it is the system's job. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r').catch(() => undefined);
  await directory?.sync().catch(() => undefined);
  await directory?.close();
}
