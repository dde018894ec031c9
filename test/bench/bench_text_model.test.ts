import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BenchResult, benchTextModel } from '../../lib/bench/bench_text_model.js';
import { median } from '../../lib/bench/median.js';
import { peakMemory } from '../../lib/bench/peak_memory.js';
import { randomPrompts } from '../../lib/bench/text_rounds.js';
import { InvalidArgumentError, UnsupportedError } from '../../lib/errors.js';
import { availableIsas } from '../../lib/testing.js';
import { removeModels, writeByteModel } from '../generate/byte_model.js';

let directory: string;
beforeAll(async () => {
  directory = await writeByteModel({ context: 128 });
});
afterAll(() => removeModels([directory]));

describe('benchTextModel', () => {
  test('measures a model, batches too', async () => {
    const told: number[] = [];
    const result: BenchResult = await benchTextModel(directory, {
      prompt: 20,
      tokens: 10,
      batch: 3,
      rounds: 2,
      threads: 1,
      onProgress: ({ done, total }) => {
        expect(total).toBe(4);
        told.push(done);
      },
    });
    expect(told).toEqual([0, 1, 2, 3, 4]);
    expect(result).toMatchObject({ isa: availableIsas()[0], threads: 1 });
    const { cpu, isa, threads, spread, ...positive } = result;
    expect(cpu).not.toBe('');
    expect(spread).toBeGreaterThanOrEqual(0);
    expect(Object.keys(positive)).toEqual([
      'prefillTokensPerSecond',
      'decodeTokensPerSecond',
      'bandwidthGBps',
      'bandwidthShare',
      'peakGops',
      'peakShare',
      'rssBytes',
      'loadMs',
    ]);
    for (const [name, value] of Object.entries(positive)) expect(value, name).toBeGreaterThan(0);
    // A model of so little work cannot come near what the machine can do, nor need a tenth of its memory.
    expect(result.peakShare).toBeLessThan(1);
    expect(result.rssBytes).toBeLessThan(2 ** 31);
  });

  test.each([
    ['prompt', 0],
    ['tokens', 1.5],
    ['batch', -1],
    ['rounds', Number.NaN],
  ])('%s of %s is an error', async (name, value) => {
    const bench = benchTextModel(directory, { [name]: value });
    await expect(bench).rejects.toThrow(
      new InvalidArgumentError(`bench: expected ${name} to be an integer of at least 1, got ${value}`),
    );
  });

  test('more than the context is an error', async () => {
    await expect(benchTextModel(directory, { prompt: 100, tokens: 28 })).rejects.toThrow(
      /expected prompt \+ tokens \+ 1 of at most 128, the model's context, got 129/,
    );
  });

  test('a type that is not built', async () => {
    const size = { prompt: 8, tokens: 4 };
    await expect(benchTextModel(directory, { ...size, weights: 'q4' })).rejects.toThrow(UnsupportedError);
    await expect(benchTextModel(directory, { ...size, kvCache: 'q8' })).rejects.toThrow(UnsupportedError);
  });

  test('an abort ends it', async () => {
    const abort = new AbortController();
    const bench = benchTextModel(directory, {
      rounds: 1000,
      prompt: 8,
      tokens: 4,
      signal: abort.signal,
      onProgress: ({ done }) => {
        if (done === 2) abort.abort();
      },
    });
    await expect(bench).rejects.toMatchObject({ name: 'AbortError' });
  });
});

test('prompts of a round begin differently, and those of a seed are the same', () => {
  const size = { prompt: 16, tokens: 1, batch: 50 };
  const all = [1, 2, 3].flatMap((seed) => randomPrompts(size, 1000, seed));
  expect(new Set(all.map((ids) => ids.join())).size).toBe(150);
  expect(all.flat().every((id) => Number.isInteger(id) && id >= 0 && id < 1000)).toBe(true);
  expect(randomPrompts(size, 1000, 2)).toEqual(all.slice(50, 100));
});

test('median', () => {
  expect([[3], [4, 1], [9, 1, 2], [8, 2, 4, 100]].map(median)).toEqual([3, 2.5, 2, 6]);
});

test.skipIf(process.platform !== 'linux')('peak memory is this process’s own, not its parent’s', () => {
  const ballast = Buffer.alloc(300 * 2 ** 20, 1);
  expect(peakMemory()).toBeGreaterThan(ballast.length);
  const module = new URL('../../dist/bench/peak_memory.js', import.meta.url);
  const code = `import { peakMemory } from '${module.href}'; console.log(peakMemory());`;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' });
  expect(Number(stdout)).toBeGreaterThan(10 * 2 ** 20);
  expect(Number(stdout)).toBeLessThan(200 * 2 ** 20);
});
