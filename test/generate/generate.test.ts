import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type GenerateOptions,
  InvalidArgumentError,
  loadTextModel,
  type TextModel,
  UnsupportedError,
} from '../../lib/index.js';
import { hasStories, stories, storyBegin, storyText } from './stories.js';

describe.skipIf(!hasStories)('generate (../shared/models/stories260K)', () => {
  let model: TextModel;
  beforeAll(async () => {
    model = await loadTextModel(stories, { device: 'cpu' });
  });
  afterAll(() => model.dispose());

  test('the story, its usage and its timings', async () => {
    const result = await model.generate(storyBegin, { maxNewTokens: 59 });
    expect(result.text.startsWith(storyText)).toBe(true);
    expect(result).toMatchObject({
      finishReason: 'length',
      usage: { promptTokens: 5, completionTokens: 59, cachedTokens: 0 },
    });
    expect(result.tokens).toHaveLength(59);
    expect(result.sequences).toHaveLength(1);
    expect(result.sequences[0]).toMatchObject({
      text: result.text,
      tokens: result.tokens,
      finishReason: 'length',
    });
    expect(result.sequences[0]).not.toHaveProperty('logprobs');
    expect(result.timings.firstTokenMs).toBeGreaterThan(0);
    expect(result.timings.lastTokenMs).toBeGreaterThan(result.timings.firstTokenMs);
    expect(result.timings.totalMs).toBeGreaterThanOrEqual(result.timings.lastTokenMs);
  });

  test('ids and text are the same prompt, and text follows it with the right spaces', async () => {
    const ids = await model.tokenizer.encode(storyBegin);
    const options = { maxNewTokens: 12 };
    const [byText, byIds] = await Promise.all([
      model.generate(storyBegin, options),
      model.generate(ids, options),
    ]);
    expect(byIds.tokens).toEqual(byText.tokens);
    const whole = await model.tokenizer.decode([...ids, ...byIds.tokens]);
    expect(storyBegin + byIds.text).toBe(whole);
    const within = await model.generate(`${storyBegin}, there was a`, { maxNewTokens: 4 });
    expect(within.text.startsWith(' little')).toBe(true);
  });

  describe('prompts', () => {
    test.each<[string, unknown, RegExp]>([
      ['null', null, /prompt.*got null/],
      ['nothing', undefined, /prompt.*got undefined/],
      ['a number', 7, /prompt.*got number/],
      ['no ids', [], /at least one token/],
      ['an id beyond the vocabulary', [1, 512], /from 0 to 511, got 512 at 1/],
      ['a negative id', [-1], /from 0 to 511, got -1 at 0/],
      ['a fraction', [1, 2.5], /got 2\.5 at 1/],
      ['a string among ids', [1, '2'], /at 1/],
      ['too many', Array.from({ length: 513 }, () => 5), /at most 512 tokens.*got 513/],
    ])('%s', async (_name, prompt, message) => {
      const request = model.generate(prompt as number[]);
      await expect(request).rejects.toThrow(message);
      await expect(request).rejects.toBeInstanceOf(InvalidArgumentError);
    });

    test('a text that is too long', async () => {
      await expect(model.generate('the cat sat '.repeat(400))).rejects.toThrow(
        /at most 512 tokens.*got \d{4}/,
      );
    });

    test('the context ends the text', async () => {
      const prompt = Array.from({ length: 500 }, (_, i) => 300 + (i % 50));
      const result = await model.generate(prompt, { maxNewTokens: 100, eosTokenId: [] });
      expect([result.finishReason, result.tokens.length]).toEqual(['length', 12]);
      const full = await model.generate([...prompt, ...result.tokens], { maxNewTokens: 5 });
      expect(full).toMatchObject({ finishReason: 'length', text: '', tokens: [] });
    });

    test('messages want a chat template', async () => {
      const request = model.generate([{ role: 'user', content: 'hi' }]);
      await expect(request).rejects.toBeInstanceOf(UnsupportedError);
      await expect(request).rejects.toThrow(/template/);
    });

    test('logits', async () => {
      const { dtype, shape, data } = await model.logits([1, 403, 407]);
      expect([dtype, shape, data.length]).toEqual(['f32', [3, 512], 3 * 512]);
      await expect(model.logits([])).rejects.toBeInstanceOf(InvalidArgumentError);
      await expect(model.logits([600])).rejects.toBeInstanceOf(InvalidArgumentError);
      await expect(model.logits(null as unknown as number[])).rejects.toBeInstanceOf(InvalidArgumentError);
    });
  });

  describe('options', () => {
    test.each<[unknown, RegExp]>([
      [null, /options to be an object/],
      [{ maxTokens: 5 }, /unknown option "maxTokens"; did you mean "maxNewTokens"/],
      [{ maxNewTokens: 0 }, /maxNewTokens/],
      [{ doSample: true, temperature: 0 }, /contradicts/],
      [{ signal: {} }, /AbortSignal/],
      [{ eosTokenId: 512 }, /vocabulary's 512/],
      [{ logprobs: -1 }, /logprobs/],
    ])('%j', async (options, message) => {
      const request = model.generate(storyBegin, options as GenerateOptions);
      await expect(request).rejects.toThrow(message);
      await expect(request).rejects.toBeInstanceOf(InvalidArgumentError);
    });

    test('a seed repeats the draws, and is told', async () => {
      const options = { temperature: 1, maxNewTokens: 30 };
      const first = await model.generate(storyBegin, options);
      const again = await model.generate(storyBegin, { ...options, seed: first.timings.seed });
      expect(again.tokens).toEqual(first.tokens);
      expect(again.timings.seed).toBe(first.timings.seed);
      const other = await model.generate(storyBegin, { ...options, seed: first.timings.seed + 1 });
      expect(other.tokens).not.toEqual(first.tokens);
    });

    test('several sequences: the first is the one that would come alone', async () => {
      const options = { temperature: 1, maxNewTokens: 30, seed: 11 };
      const { sequences, usage, tokens } = await model.generate(storyBegin, {
        ...options,
        numReturnSequences: 4,
      });
      expect(sequences).toHaveLength(4);
      expect(new Set(sequences.map(({ text }) => text)).size).toBe(4);
      expect(tokens).toEqual((await model.generate(storyBegin, options)).tokens);
      expect(usage.completionTokens).toBe(sequences.reduce((n, s) => n + s.tokens.length, 0));
    });

    test('log-probabilities are of the raw logits, and their sum is the score', async () => {
      const ids = await model.tokenizer.encode(storyBegin);
      const result = await model.generate(ids, {
        temperature: 0.7,
        topK: 8,
        seed: 3,
        maxNewTokens: 20,
        logprobs: 3,
        repetitionPenalty: 1.2,
      });
      const [sequence] = result.sequences;
      const { data } = await model.logits([...ids, ...result.tokens]);
      let sum = 0;
      sequence?.logprobs?.forEach(({ token, logprob, top }, i) => {
        const row = Array.from(data.subarray((ids.length - 1 + i) * 512, (ids.length + i) * 512));
        const max = Math.max(...row);
        const logSum = max + Math.log(row.reduce((s, x) => s + Math.exp(x - max), 0));
        const best = [...row.keys()].sort((a, b) => (row[b] as number) - (row[a] as number)).slice(0, 3);
        expect(token).toBe(result.tokens[i]);
        expect(logprob).toBeCloseTo((row[token] as number) - logSum, 4);
        expect(top.map((t) => t.token)).toEqual(best);
        top.forEach((t) => {
          expect(t.logprob).toBeCloseTo((row[t.token] as number) - logSum, 4);
        });
        sum += logprob;
      });
      expect(sequence?.logprobs).toHaveLength(20);
      expect(sequence?.score).toBeCloseTo(sum, 6);
    });

    test('a greedy beam search is at least as good as greedy', async () => {
      const options = { maxNewTokens: 16, eosTokenId: [], lengthPenalty: 0 };
      const greedy = await model.generate(storyBegin, options);
      const beams = await model.generate(storyBegin, { ...options, numBeams: 4, numReturnSequences: 4 });
      const scores = beams.sequences.map(({ score }) => score);
      expect(scores).toEqual([...scores].sort((a, b) => b - a));
      expect(scores[0]).toBeGreaterThanOrEqual((greedy.sequences[0]?.score as number) - 1e-4);
      expect(beams.text).toBe(beams.sequences[0]?.text);
      const ids = await model.tokenizer.encode(storyBegin);
      expect(storyBegin + beams.text).toBe(await model.tokenizer.decode([...ids, ...beams.tokens]));
    });
  });

  describe('stopping', () => {
    test('an eos ends the text, and is a token but no text', async () => {
      const plain = await model.generate(storyBegin, { maxNewTokens: 30 });
      const eos = plain.tokens[9] as number;
      const at = plain.tokens.indexOf(eos);
      const ended = await model.generate(storyBegin, { maxNewTokens: 30, eosTokenId: [eos, 511] });
      expect(ended.finishReason).toBe('eos');
      expect(ended.tokens).toEqual(plain.tokens.slice(0, at + 1));
      expect(plain.text.startsWith(ended.text)).toBe(true);
      const byId = await model.generate(storyBegin, { maxNewTokens: 30, stop: eos });
      expect(byId).toMatchObject({ finishReason: 'stop', tokens: ended.tokens, text: ended.text });
    });

    test.each(['girl', ' park. One', '.', 'e loved to pl', 'Lily. She loved', ','])(
      'at the string %j',
      async (stop) => {
        const result = await model.generate(storyBegin, { maxNewTokens: 60, stop });
        const at = storyText.indexOf(stop);
        expect(result.text).toBe(storyText.slice(0, at));
        expect(result.finishReason).toBe('stop');
        const ids = await model.tokenizer.encode(storyBegin);
        const whole = await model.tokenizer.decode([...ids, ...result.tokens]);
        expect(whole.startsWith(storyBegin + storyText.slice(0, at + stop.length))).toBe(true);
        const shorter = await model.tokenizer.decode([...ids, ...result.tokens.slice(0, -1)]);
        expect(shorter.includes(stop, storyBegin.length)).toBe(false);
      },
    );

    test('what may begin a stop string and does not is given in the end', async () => {
      const plain = await model.generate(storyBegin, { maxNewTokens: 12 });
      const held = await model.generate(storyBegin, { maxNewTokens: 12, stop: `${plain.text.slice(-3)}!!` });
      expect(held).toMatchObject({ text: plain.text, finishReason: 'length' });
    });

    test('a string that the prompt holds does not count', async () => {
      expect((await model.generate(storyBegin, { maxNewTokens: 3, stop: 'upon' })).finishReason).toBe(
        'length',
      );
    });

    test('no end before minNewTokens', async () => {
      const plain = await model.generate(storyBegin, { maxNewTokens: 20 });
      const eosTokenId = plain.tokens[4] as number;
      const { tokens } = await model.generate(storyBegin, { maxNewTokens: 20, eosTokenId, minNewTokens: 8 });
      expect(tokens.slice(0, 8)).not.toContain(eosTokenId);
    });
  });
});
