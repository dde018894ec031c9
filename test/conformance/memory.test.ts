import { afterEach, describe, expect, test } from 'vitest';
import type { TextModel } from '../../lib/index.js';
import { externalBytes, loadWith } from '../../lib/testing.js';
import { type Books, booksAfter } from './books.js';
import { smallModel } from './checkpoints.js';
import { heldBytes } from './garbage.js';

const MiB = 2 ** 20;

/** Five rounds up to one: what is resident goes up and down by some MB from one round to the next. */
const upTo = (round: number): number[] => [4, 3, 2, 1, 0].map((before) => round - before);

/** Books of five early rounds, then of five late ones: the medians count. */
function expectSteady(books: readonly Books[]): void {
  const middle = (five: readonly Books[]): number => five.map(({ rss }) => rss).sort((a, b) => a - b)[2] ?? 0;
  const [early, late] = [books.slice(0, 5), books.slice(5)];
  const { threads, files } = early[4] as Books;
  expect(late[4]).toMatchObject({ threads, files });
  expect((middle(late) - middle(early)) / 1e6, 'MB').toBeLessThan(5);
}

describe.skipIf(process.platform !== 'linux')('a process that goes on and on', () => {
  test('200 times loaded, used and disposed: at most 5 MB more after the last than after the 20th, as many threads, as many open files', async () => {
    expectSteady(
      await booksAfter(
        [...upTo(20), ...upTo(200)],
        await smallModel(),
        `const model = await loadTextModel(source, { device: 'cpu' });
         await model.generate('Once', { maxNewTokens: 8, eosTokenId: [] });
         await model.dispose();`,
      ),
    );
  });

  test('100 loads aborted at any moment, each before one that is not: as many threads, as many open files, no memory lost', async () => {
    expectSteady(
      await booksAfter(
        [...upTo(20), ...upTo(100)],
        await smallModel(),
        `const abort = new AbortController();
         if (round > 1) setTimeout(() => abort.abort(), (round * 7) % 60);
         const model = await loadTextModel(source, { device: 'cpu', signal: abort.signal }).catch((error) => {
           if (error.name !== 'AbortError') throw error;
         });
         await model?.dispose();
         await (await loadTextModel(source, { device: 'cpu' })).dispose();`,
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
    // V8 counts buffers of JavaScript as well, which come and go.
    expect(externalBytes() - before).toBeGreaterThan(bytes - MiB / 4);
    await model.dispose();
    expect(model.info.bytes).toBe(0);
    expect(externalBytes() - before).toBeLessThan(MiB);
  });

  test('does not grow with the requests that it has served: 6,000, half of them with a signal that outlives them', async () => {
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
    const held = [await serve(1500)];
    for (let part = 0; part < 3; part++) held.push(await serve(1500));
    // V8 compiles code now and then; what requests leave behind adds up in every part.
    const growth = held.slice(1).map((bytes, i) => (bytes - (held[i] as number)) / 1500);
    expect(Math.min(...growth), `bytes a request: ${growth.join(', ')}`).toBeLessThan(100);
  });
});
