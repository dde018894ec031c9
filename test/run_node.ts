import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';

/** What users import, built. */
export const built = new URL('../dist/bundle/index.js', import.meta.url);
export const hasBuilt = existsSync(built);

export interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly out: string;
  readonly err: string;
}

/** How a process ends that has nothing to complain of. */
export const clean = { code: 0, signal: null, err: '' };

/** Runs a module that has `loadTextModel` in a process of its own, which must end by itself. */
export function runNode(
  code: string,
  { flags = [], timeout = 20_000 }: { readonly flags?: readonly string[]; readonly timeout?: number } = {},
): Promise<Ended> {
  const module = `import { loadTextModel } from ${JSON.stringify(built.href)};\n${code}`;
  const child = spawn(process.execPath, [...flags, '--input-type=module', '-e', module], { timeout });
  let [out, err] = ['', ''];
  child.stdout.on('data', (data: Buffer) => {
    out += data.toString();
  });
  child.stderr.on('data', (data: Buffer) => {
    err += data.toString();
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) =>
      resolve({ code: status, signal, out: out.trim(), err: err.trim() }),
    );
  });
}
