import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type GenerateOptions,
  InvalidArgumentError,
  loadTextModel,
  type TextModel,
} from '../../lib/index.js';
import { hasStories, stories, storyBegin } from './stories.js';

describe.skipIf(!hasStories)('streams (../shared/models/stories260K)', () => {
  let model: TextModel;
  const rejections: unknown[] = [];
  const note = (reason: unknown): void => {
    rejections.push(reason);
  };
  beforeAll(async () => {
    process.on('unhandledRejection', note);
    model = await loadTextModel(stories, { device: 'cpu' });
  });
  afterAll(async () => {
    await model.dispose();
    await new Promise((resolve) => setTimeout(resolve, 20));
    process.off('unhandledRejection', note);
    expect(rejections).toEqual([]);
  });

  describe('streaming', () => {
    test.each<GenerateOptions>([
      { maxNewTokens: 40 },
      { maxNewTokens: 40, logprobs: 2 },
      { maxNewTokens: 60, stop: ['ball', 'zebra'] },
      { maxNewTokens: 60, stop: [' loved to play'] },
      { maxNewTokens: 30, temperature: 1, seed: 5, numReturnSequences: 2 },
      { maxNewTokens: 20, numBeams: 3, numReturnSequences: 2 },
      { maxNewTokens: 30, eosTokenId: 426 },
    ])('pieces are the result: %j', async (options) => {
      const request = model.generate(storyBegin, options);
      let text = '';
      const tokens: number[] = [];
      const logprobs: unknown[] = [];
      for await (const piece of request) {
        text += piece.text;
        tokens.push(...piece.tokens);
        logprobs.push(...(piece.logprobs ?? []));
      }
      const result = await request;
      expect(text).toBe(result.text);
      expect(tokens).toEqual(result.tokens);
      expect(logprobs).toEqual(result.sequences[0]?.logprobs ?? []);
    });

    test('a loop after the end has all of it', async () => {
      const request = model.generate(storyBegin, { maxNewTokens: 9 });
      const { text } = await request;
      let streamed = '';
      for await (const piece of request) streamed += piece.text;
      expect(streamed).toBe(text);
    });

    test('pieces come while it runs', async () => {
      let pieces = 0;
      for await (const piece of model.generate(storyBegin, { maxNewTokens: 100 }))
        pieces += Number(piece.tokens.length > 0);
      expect(pieces).toBeGreaterThan(3);
    });

    test('break aborts the run', async () => {
      const request = model.generate(storyBegin, { maxNewTokens: 400, eosTokenId: [] });
      for await (const piece of request) if (piece.tokens.length > 0) break;
      await expect(request).rejects.toMatchObject({ name: 'AbortError' });
    });

    test('an error in the loop aborts the run', async () => {
      const request = model.generate(storyBegin, { maxNewTokens: 400, eosTokenId: [] });
      const loop = async (): Promise<void> => {
        for await (const _piece of request) throw new Error('mine');
      };
      await expect(loop()).rejects.toThrow('mine');
      await expect(request).rejects.toMatchObject({ name: 'AbortError' });
    });

    test('a failure comes out of the loop, too', async () => {
      const loop = async (): Promise<void> => {
        for await (const _piece of model.generate([])) expect.unreachable();
      };
      await expect(loop()).rejects.toBeInstanceOf(InvalidArgumentError);
    });
  });

  describe('abort', () => {
    const aborted = { name: 'AbortError' };
    const options = { maxNewTokens: 400, eosTokenId: [] };

    test('before the call', async () => {
      await expect(model.generate(storyBegin, { signal: AbortSignal.abort() })).rejects.toMatchObject(
        aborted,
      );
      await expect(model.generate([1, 2], { signal: AbortSignal.abort() })).rejects.toMatchObject(aborted);
    });

    test('in the turn of the call, and while it runs', async () => {
      const abort = new AbortController();
      const request = model.generate(storyBegin, { ...options, signal: abort.signal });
      abort.abort(new Error('why'));
      await expect(request).rejects.toMatchObject({ ...aborted, cause: new Error('why') });
      const later = new AbortController();
      const seen: number[] = [];
      const loop = async (): Promise<void> => {
        for await (const piece of model.generate(storyBegin, { ...options, signal: later.signal })) {
          seen.push(...piece.tokens);
          if (seen.length > 5) later.abort();
        }
      };
      await expect(loop()).rejects.toMatchObject(aborted);
      expect(seen.length).toBeLessThan(400);
    });

    test('after the end changes nothing', async () => {
      const abort = new AbortController();
      const request = model.generate(storyBegin, { maxNewTokens: 3, signal: abort.signal });
      const result = await request;
      abort.abort();
      expect(await request).toBe(result);
    });

    test('leaves others as they are', async () => {
      const alone = await model.generate('Tom', { maxNewTokens: 80, logprobs: 1 });
      const abort = new AbortController();
      const doomed = [1, 2, 3].map((i) =>
        model.generate(storyBegin.slice(i), { ...options, signal: abort.signal }),
      );
      const other = model.generate('Tom', { maxNewTokens: 80, logprobs: 1 });
      setTimeout(() => abort.abort(), 10);
      expect((await other).sequences).toEqual(alone.sequences);
      for (const request of doomed) await expect(request).rejects.toMatchObject(aborted);
    });

    test('that nobody awaits is no unhandled rejection', async () => {
      const abort = new AbortController();
      void model.generate(storyBegin, { ...options, signal: abort.signal });
      void model.generate([]);
      abort.abort();
      await new Promise((resolve) => setTimeout(resolve, 30));
      expect(rejections).toEqual([]);
    });

    test('of logits', async () => {
      await expect(model.logits([1, 2], { signal: AbortSignal.abort() })).rejects.toMatchObject(aborted);
    });
  });
});
