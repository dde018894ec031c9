import { afterEach, describe, expect, test } from 'vitest';
import type { TextModel } from '../../lib/index.js';
import { loadWith } from '../../lib/testing.js';
import { clean, runNode } from '../run_node.js';
import { smallModel } from './checkpoints.js';
import { heldBytes } from './garbage.js';

/** What a process holds, by the system's books. */
interface Books {
  readonly threads: number;
  readonly files: number;
}

/** Runs rounds of work in a process of its own, and returns its books after each round that is asked for. */
async function booksAfter(rounds: readonly number[], work: string): Promise<Books[]> {
  const code = `
    import { readdirSync } from 'node:fs';
    import { setTimeout as wait } from 'node:timers/promises';
    const source = ${JSON.stringify(await smallModel())};
    const books = async () => {
      for (let i = 0; i < 3; i++) { gc(); await wait(20); }
      const count = (what) => readdirSync('/proc/self/' + what).length;
      return { threads: count('task'), files: count('fd') };
    };
    const found = [];
    for (let round = 1; round <= ${Math.max(...rounds)}; round++) {
      ${work}
      if (${JSON.stringify(rounds)}.includes(round)) found.push(await books());
    }
    console.log(JSON.stringify(found));`;
  const ended = await runNode(code, { flags: ['--expose-gc'], timeout: 150_000 });
  expect(ended).toMatchObject(clean);
  return JSON.parse(ended.out) as Books[];
}

describe.skipIf(process.platform !== 'linux')('a process that goes on and on', () => {
  test('200 times loaded, used and disposed: as many threads and open files after the last as after the 60th', async () => {
    const [early, last] = await booksAfter(
      [60, 200],
      `const model = await loadTextModel(source, { device: 'cpu' });
       await model.generate('Once', { maxNewTokens: 8, eosTokenId: [] });
       await model.dispose();`,
    );
    expect(last).toMatchObject({ threads: early?.threads, files: early?.files });
  });

  test('100 loads aborted at any moment leave no thread and no open file', async () => {
    const [early, last] = await booksAfter(
      [50, 100],
      `const abort = new AbortController();
       setTimeout(() => abort.abort(), (round * 7) % 40);
       const model = await loadTextModel(source, { device: 'cpu', signal: abort.signal }).catch((error) => {
         if (error.name !== 'AbortError') throw error;
       });
       await model?.dispose();`,
    );
    expect(last).toMatchObject({ threads: early?.threads, files: early?.files });
  });
});

describe('memory of a model', () => {
  let model: TextModel | undefined;
  afterEach(() => model?.dispose());

  test('does not grow with the requests that it has served: 2,000, half of them with a signal that outlives them', async () => {
    const served = await loadWith(await smallModel(), { device: 'cpu' }, { kvBlocks: 32 });
    model = served;
    const { signal } = new AbortController();
    const serve = async (count: number): Promise<number> => {
      for (let i = 0; i < count; i += 4) {
        const options = { maxNewTokens: 6, eosTokenId: [], ...(i % 8 === 0 ? { signal } : {}) };
        await Promise.all([0, 1, 2, 3].map((k) => served.generate([1, (i >> 2) % 256, k], options)));
      }
      return heldBytes();
    };
    const early = await serve(500);
    expect(((await serve(2000)) - early) / 2000, 'bytes a request').toBeLessThan(100);
  });
});
