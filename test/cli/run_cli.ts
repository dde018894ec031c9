import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** Trained weights beside the repository; not every machine has them. */
export const stories = fileURLToPath(new URL('../../../shared/models/stories260K', import.meta.url));
export const hasStories = existsSync(stories);
if (!hasStories) console.warn('test/cli: ../shared/models/stories260K is absent: its cases are skipped');

/** What it says greedily after "Once upon a time". */
export const story =
  ', there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball. ' +
  'She wanted to play with it, but it was too high.\n';

export interface Outcome {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** Text for stdin; none: an empty one; `'open'`: one that never ends. */
  readonly stdin?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  /** Called once the first of stdout has come. */
  readonly onOutput?: (child: ChildProcess) => void;
  /** Called at the start. */
  readonly onStart?: (child: ChildProcess) => void;
}

/** Runs the built command line, as a user would. */
export function triga(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^TRIGA_(DEVICE|THREADS|ISA|DEBUG)$/.test(name),
  );
  const child = spawn(process.execPath, [main, ...args], {
    env: { ...Object.fromEntries(inherited), ...options.env },
    stdio: 'pipe',
  });
  const text = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').once('data', () => options.onOutput?.(child));
  child.stdout.on('data', (piece: string) => {
    text.stdout += piece;
  });
  child.stderr.setEncoding('utf8').on('data', (piece: string) => {
    text.stderr += piece;
  });
  child.stdin.on('error', () => {});
  if (options.stdin !== 'open') child.stdin.end(options.stdin ?? '');
  options.onStart?.(child);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, ...text }));
  });
}
