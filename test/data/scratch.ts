import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';

/** A folder for the tests of a file, and a way to put files into it. */
export function scratchFolder(): {
  path(name: string): string;
  put(name: string, content: string | Uint8Array): Promise<string>;
} {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'triga-data-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  const path = (name: string): string => join(folder, name);
  return {
    path,
    async put(name, content) {
      await writeFile(path(name), content);
      return path(name);
    },
  };
}
