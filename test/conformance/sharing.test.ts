import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { GenerateOptions, TextModel } from '../../lib/index.js';
import { loadWith } from '../../lib/testing.js';
import { smallModel } from './checkpoints.js';

const MiB = 2 ** 20;
const threads = (): number => readdirSync('/proc/self/task').length;

describe.skipIf(process.platform !== 'linux')('many models at once', () => {
  test('share one pool of threads, and each says what it says alone', async () => {
    const directory = await smallModel();
    const load = (): Promise<TextModel> =>
      loadWith(directory, { device: 'cpu', threads: 2 }, { kvBytes: 4 * MiB });
    const options: GenerateOptions = {
      maxNewTokens: 50,
      eosTokenId: [],
      temperature: 1,
      seed: 9,
      logprobs: 2,
    };
    const say = async (model: TextModel, k: number) => (await model.generate([k, 2, 3], options)).sequences;
    const models = [await load()];
    const alone: unknown[] = [];
    for (let k = 0; k < 12; k++) alone.push(await say(models[0] as TextModel, k));
    const before = threads();
    for (let k = 1; k < 12; k++) models.push(await load());
    // Each has a tokenizer's thread of its own, and none of the engine.
    expect(threads() - before).toBe(11);
    expect(await Promise.all(models.map(say))).toEqual(alone);
    expect(threads() - before).toBe(11);
    await Promise.all(models.map((model) => model.dispose()));
  });
});
