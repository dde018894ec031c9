import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  export interface ProvidedContext {
    /** A folder for all tests of the run, deleted after. */
    scratch: string;
  }
}

/** vitest calls the setup before the run, and what it returns after it. */
export function setup(project: TestProject): () => void {
  const scratch = mkdtempSync(join(tmpdir(), 'triga-conformance-'));
  project.provide('scratch', scratch);
  return () => rmSync(scratch, { recursive: true, force: true });
}
