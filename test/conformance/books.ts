import { expect } from 'vitest';
import { clean, runNode } from '../run_node.js';

/** What a process holds, by the system's books. */
export interface Books {
  readonly rss: number;
  readonly threads: number;
  readonly files: number;
}

/**
 * Runs `work` again and again in a process of its own; its books after each of these rounds. Linux only. What V8 takes for
 * itself as a process warms up hides what is looked for, so the young generation stays at 1 MiB (else it grows by 20 MB with
 * all that ever survived in it) and nothing is optimized (5 MB of code, and of free memory in the compiler's threads).
 */
export async function booksAfter(rounds: readonly number[], source: string, work: string): Promise<Books[]> {
  const code = `
    import { readdirSync } from 'node:fs';
    import { setTimeout as wait } from 'node:timers/promises';
    const source = ${JSON.stringify(source)};
    const collect = async () => { for (let i = 0; i < 3; i++) { gc(); await wait(20); } };
    const count = (what) => readdirSync('/proc/self/' + what).length;
    const books = [];
    for (let round = 1; round <= ${Math.max(...rounds)}; round++) {
      ${work}
      if (!${JSON.stringify(rounds)}.includes(round)) continue;
      await collect();
      books.push({ rss: process.memoryUsage.rss(), threads: count('task'), files: count('fd') });
    }
    console.log(JSON.stringify(books));`;
  const ended = await runNode(code, {
    flags: ['--expose-gc', '--max-semi-space-size=1', '--no-opt'],
    timeout: 170_000,
  });
  expect(ended).toMatchObject(clean);
  return JSON.parse(ended.out) as Books[];
}
