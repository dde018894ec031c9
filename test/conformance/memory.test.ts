import { afterEach, describe, expect, test } from 'vitest';
import type { TextModel } from '../../lib/index.js';
import { externalBytes, loadWith } from '../../lib/testing.js';
import { type Books, booksAfter } from './books.js';
import { smallModel } from './checkpoints.js';
import { heldBytes } from './garbage.js';

const MiB = 2 ** 20;

function expectSteady([early, last]: readonly Books[]): void {
  expect(last).toMatchObject({ threads: early?.threads, files: early?.files });
  expect(((last?.rss ?? 0) - (early?.rss ?? 0)) / 1e6, 'MB').toBeLessThan(5);
}

describe.skipIf(process.platform !== 'linux')('a process that goes on and on', () => {
  test('200 times loaded, used and disposed: at most 5 MB more after the last than after the 20th, as many threads, as many open files', async () => {
    expectSteady(
      await booksAfter(
        [20, 200],
        await smallModel(),
        `const model = await loadTextModel(source, { device: 'cpu' });
         await model.generate('Once', { maxNewTokens: 8, eosTokenId: [] });
         await model.dispose();`,
      ),
    );
  });

  test('100 loads aborted at any moment: as many threads, as many open files, no memory lost', async () => {
    expectSteady(
      await booksAfter(
        [20, 100],
        await smallModel(),
        `const abort = new AbortController();
         if (round > 1) setTimeout(() => abort.abort(), (round * 7) % 60);
         const model = await loadTextModel(source, { device: 'cpu', signal: abort.signal }).catch((error) => {
           if (error.name !== 'AbortError') throw error;
         });
         await model?.dispose();`,
      ),
    );
  });
});

describe('the memory of a model', () => {
  let model: TextModel | undefined;
  afterEach(() => model?.dispose());

  test('is told to V8 while it is held; after dispose, model.info.bytes and what V8 was told are nothing', async () => {
    const before = externalBytes();
    model = await loadWith(await smallModel(), { device: 'cpu' }, { kvBytes: 16 * MiB });
    const { bytes } = model.info;
    expect(bytes).toBeGreaterThan(2 * MiB);
    expect(externalBytes() - before).toBeGreaterThanOrEqual(bytes);
    await model.dispose();
    expect(model.info.bytes).toBe(0);
    expect(externalBytes() - before).toBeLessThan(MiB);
  });

  test('does not grow with the requests that it has served: 3,000, half of them with a signal that outlives them', async () => {
    const served = await loadWith(await smallModel(), { device: 'cpu' }, { kvBlocks: 32 });
    model = served;
    const { signal } = new AbortController();
    const serve = async (count: number): Promise<number> => {
      for (let i = 0; i < count; i += 4) {
        const options = { maxNewTokens: 6, eosTokenId: [], ...(i % 8 === 0 ? { signal } : {}) };
        await Promise.all([0, 1, 2, 3].map((k) => served.generate([1, (i >> 2) % 256, k], options)));
      }
      return await heldBytes();
    };
    const early = await serve(1500);
    expect(((await serve(3000)) - early) / 3000, 'bytes a request').toBeLessThan(100);
  });
});
