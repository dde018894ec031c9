import { OutOfMemoryError } from '../errors.js';
import { errorCode } from '../weights/file_io.js';

const fullCodes: ReadonlySet<string | undefined> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** What a failure to write `path` is thrown as: OutOfMemoryError where the disk is full, else as it came. */
export function storageError(path: string, error: unknown): unknown {
  const code = errorCode(error);
  if (!fullCodes.has(code)) return error;
  return new OutOfMemoryError(
    `${path}: expected room on the disk to write to, got ${code}; free some, or choose another directory`,
    { cause: error },
  );
}
