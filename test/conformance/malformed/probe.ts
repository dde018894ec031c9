import { type ChildProcess, fork } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Files } from './bases.js';

/** What came of a directory in a process of its own. */
export interface Outcome {
  readonly works: boolean;
  /** Whether the error is a TrigaError. */
  readonly typed?: boolean;
  /** `load`, or `use` of what has loaded. */
  readonly stage?: string;
  readonly name?: string;
  readonly code?: string;
  readonly message?: string;
  readonly stack?: string;
  /** How the process ended, or that it did not come to an end in time. */
  readonly died?: string;
  /** Largest resident size of the process so far, in MiB. */
  readonly rss?: number;
}

const script = fileURLToPath(new URL('try_model.mjs', import.meta.url));
/** Instrumented code is several times slower, and its memory lives longer. */
const slow = (process.env.LD_PRELOAD ?? '').includes('asan');
const timeLimit = slow ? 60_000 : 20_000;
export const memoryLimit = slow ? 4096 : 768;

/** A process that tries one directory after the other; a new one takes its place when it dies. */
export class Prober {
  #child: ChildProcess | undefined;
  #errors = '';

  async try(files: Files): Promise<Outcome> {
    const directory = await mkdtemp(join(tmpdir(), 'triga-mutant-'));
    try {
      for (const [name, content] of Object.entries(files)) await writeFile(join(directory, name), content);
      return await this.#send(directory);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }

  #send(directory: string): Promise<Outcome> {
    const child = this.#child ?? this.#start();
    return new Promise((resolve) => {
      const finish = (outcome: Outcome): void => {
        clearTimeout(timer);
        child.off('message', onMessage);
        child.off('exit', onExit);
        resolve(outcome);
      };
      const onMessage = (message: Outcome & { stray?: string }): void => {
        if (message.stray === undefined) finish(message);
        else finish({ works: false, typed: false, message: `unhandled rejection: ${message.stray}` });
      };
      const onExit = (code: number | null, signal: string | null): void => {
        this.#child = undefined;
        finish({ works: false, died: `exit ${signal ?? code}: ${this.#errors.trim().slice(0, 2000)}` });
      };
      const timer = setTimeout(() => {
        this.#child = undefined;
        child.kill('SIGKILL');
        finish({ works: false, died: `no end after ${timeLimit / 1000} s` });
      }, timeLimit);
      child.on('message', onMessage);
      child.once('exit', onExit);
      this.#errors = '';
      child.send({ directory });
    });
  }

  #start(): ChildProcess {
    const child = fork(script, [], {
      execArgv: ['--no-warnings', `--max-old-space-size=${memoryLimit / 2}`],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    child.stderr?.on('data', (data: Buffer) => {
      this.#errors = (this.#errors + data.toString()).slice(0, 20_000);
    });
    this.#child = child;
    return child;
  }

  end(): void {
    this.#child?.kill('SIGKILL');
    this.#child = undefined;
  }
}

/** Tries all of `cases`, as many at a time as there are probers, and tells of each. */
export async function tryAll<T extends { readonly files: () => Files }>(
  probers: readonly Prober[],
  cases: readonly T[],
  tell: (one: T, outcome: Outcome) => void,
): Promise<void> {
  const left = [...cases];
  const work = async (prober: Prober): Promise<void> => {
    for (let next = left.shift(); next; next = left.shift()) tell(next, await prober.try(next.files()));
  };
  await Promise.all(probers.map(work));
}
