import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { evaluationWindows } from '../../lib/generate/evaluation_windows.js';
import {
  evaluateText,
  InvalidArgumentError,
  type LoadOptions,
  loadTextModel,
  ModelFormatError,
  type TextModel,
  UnsupportedError,
} from '../../lib/index.js';
import { availableIsas } from '../../lib/testing.js';
import { withIsa } from '../with_isa.js';
import { type ByteModelOptions, byteVocabulary, removeModels, writeByteModel } from './byte_model.js';

const written: string[] = [];
afterAll(() => removeModels(written));

/** Loads a model over bytes for the time of `work`. */
async function withModel<T>(
  options: ByteModelOptions,
  work: (model: TextModel) => Promise<T>,
  load: LoadOptions = { device: 'cpu' },
): Promise<T> {
  const directory = await writeByteModel(options);
  written.push(directory);
  const model = await loadTextModel(directory, load);
  try {
    return await work(model);
  } finally {
    await model.dispose();
  }
}

/** As many bytes of text as asked for. */
const textOf = (bytes: number): string =>
  Array.from({ length: bytes }, (_, i) => String.fromCharCode(97 + ((i * 7) % 26))).join('');

describe('windows', () => {
  test('count every token once, begin half a context apart, and hold no more than fits', () => {
    fc.assert(
      fc.property(fc.nat(200), fc.integer({ min: 2, max: 33 }), fc.boolean(), (tokens, context, bos) => {
        const room = context - (bos ? 1 : 0);
        const windows = evaluationWindows(tokens, room, context);
        const counted = windows.flatMap(({ from, end }) =>
          Array.from({ length: end - from }, (_, i) => from + i),
        );
        expect(counted).toEqual(Array.from({ length: tokens }, (_, i) => i));
        windows.forEach(({ begin, end, from }, i) => {
          expect(begin).toBe(i * Math.floor(context / 2));
          expect(end - begin).toBeLessThanOrEqual(room);
          expect(from).toBeGreaterThanOrEqual(begin);
          // Without BOS something of the window precedes what it counts.
          if (!bos && i > 0) expect(from).toBeGreaterThan(begin);
        });
      }),
    );
  });

  test('as one expects them', () => {
    expect(evaluationWindows(20, 8, 8)).toEqual([
      { begin: 0, end: 8, from: 0 },
      { begin: 4, end: 12, from: 8 },
      { begin: 8, end: 16, from: 12 },
      { begin: 12, end: 20, from: 16 },
    ]);
    expect(evaluationWindows(9, 7, 8)).toEqual([
      { begin: 0, end: 7, from: 0 },
      { begin: 4, end: 9, from: 7 },
    ]);
    expect(evaluationWindows(3, 7, 8)).toEqual([{ begin: 0, end: 3, from: 0 }]);
  });
});

describe('every byte counts once', () => {
  // A model without preferences pays log2(257) bits for a token, so the sum tells how many were counted.
  test.each([256, 'none'] as const)('with BOS %s, whatever the length', async (bos) => {
    await withModel({ context: 8, bos, uniform: true }, async (model) => {
      for (let length = 1; length <= 40; length++) {
        const result = await evaluateText(model, textOf(length));
        expect(result).toMatchObject({ tokens: length, bytes: length });
        expect(result.bitsPerByte, `${length} bytes`).toBeCloseTo(Math.log2(byteVocabulary), 5);
        expect(result.perplexity).toBeCloseTo(byteVocabulary, 3);
      }
    });
  });

  test('of characters of many bytes, a byte-order mark among them', async () => {
    await withModel({ uniform: true }, async (model) => {
      const text = '\ufeffNaïve 😀 — 字\r\n';
      const bytes = Buffer.byteLength(text);
      const result = await evaluateText(model, text);
      expect(result).toMatchObject({ tokens: bytes, bytes });
      expect(result.bitsPerByte).toBeCloseTo(Math.log2(byteVocabulary), 5);
    });
  });
});

/** −Σ log2 p in float64, from logits: window by window, the tokens that no window before has counted. */
async function expectedBits(model: TextModel, bytes: Uint8Array, bos: number | undefined): Promise<number> {
  const context = model.info.contextLength;
  let bits = 0;
  let done = 0;
  for (let begin = 0; done < bytes.length; begin += context >> 1) {
    const ids = [...(bos === undefined ? [] : [bos]), ...bytes.subarray(begin)].slice(0, context);
    const { data } = await model.logits(ids);
    const lead = bos === undefined ? 0 : 1;
    for (let i = done - begin + lead; i < ids.length; i++, done++) {
      if (i === 0) {
        bits += Math.log2(byteVocabulary);
        continue;
      }
      const row = Array.from(data.subarray((i - 1) * byteVocabulary, i * byteVocabulary));
      const max = Math.max(...row);
      const sum = row.reduce((total, x) => total + Math.exp(x - max), 0);
      bits -= ((row[ids[i] as number] as number) - max - Math.log(sum)) / Math.LN2;
    }
  }
  return bits;
}

describe('agrees with a computation from logits in float64', () => {
  const lengths = [1, 2, 11, 12, 13, 17, 18, 19, 40, 101];
  test.each([
    ['with BOS', 256],
    ['without', 'none'],
  ] as const)('%s', async (_, bos) => {
    await withModel({ context: 12, bos }, async (model) => {
      for (const length of lengths) {
        const text = textOf(length);
        const bits = await expectedBits(model, Buffer.from(text), bos === 'none' ? undefined : bos);
        const { bitsPerByte, perplexity } = await evaluateText(model, text);
        expect(bitsPerByte, `${length} bytes`).toBeCloseTo(bits / length, 5);
        expect(Math.log2(perplexity)).toBeCloseTo(bits / length, 5);
      }
    });
  });

  test.each([...availableIsas(), 'reference'])('on %s', async (place) => {
    const device = place === 'reference' ? 'reference' : 'cpu';
    const evaluate = (): Promise<void> =>
      withModel(
        { context: 12 },
        async (model) => {
          const text = textOf(50);
          const bits = await expectedBits(model, Buffer.from(text), 256);
          expect((await evaluateText(model, text)).bitsPerByte).toBeCloseTo(bits / 50, 5);
        },
        { device },
      );
    await (device === 'cpu' ? withIsa(place, evaluate) : evaluate());
  });
});

describe('logprobs', () => {
  test('are the log softmax of logits, from any id on', async () => {
    await withModel({ context: 64 }, async (model) => {
      const ids = [256, ...Buffer.from(textOf(40))];
      const { data: logits } = await model.logits(ids);
      const want = ids.slice(1).map((id, i) => {
        const row = Array.from(logits.subarray(i * byteVocabulary, (i + 1) * byteVocabulary));
        return (row[id] as number) - Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0));
      });
      for (const from of [1, 2, 17, 40, 41]) {
        const got = await model.logprobs(ids, { from });
        expect(got).toMatchObject({ dtype: 'f32', shape: [ids.length - from] });
        expect(got.data).toHaveLength(ids.length - from);
        for (const [i, x] of got.data.entries()) expect(x).toBeCloseTo(want[from - 1 + i] as number, 4);
      }
      expect((await model.logprobs([256])).shape).toEqual([0]);
    });
  });

  test.each([0, 4, 1.5, Number.NaN])('from %s of 3 ids is an error', async (from) => {
    await withModel({}, async (model) => {
      await expect(model.logprobs([1, 2, 3], { from })).rejects.toThrow(
        /logprobs: expected from to be an integer from 1 to .* 3, got/,
      );
      await expect(model.logprobs([1, 2, 3], { from })).rejects.toThrow(InvalidArgumentError);
    });
  });
});

describe('errors', () => {
  test('no text', async () => {
    await withModel({}, async (model) => {
      await expect(evaluateText(model, '')).rejects.toThrow(InvalidArgumentError);
      await expect(evaluateText(model, undefined as unknown as string)).rejects.toThrow(
        /expected a text, got undefined/,
      );
    });
  });

  test('no tokenizer', async () => {
    const directory = await writeByteModel();
    written.push(directory);
    await rm(join(directory, 'tokenizer.json'));
    const model = await loadTextModel(directory);
    await expect(evaluateText(model, 'text')).rejects.toThrow(UnsupportedError);
    await model.dispose();
  });

  test('a context without room', async () => {
    await withModel({ context: 1 }, (model) =>
      expect(evaluateText(model, 'text')).rejects.toThrow(/context of at least 2 tokens, got one of 1/),
    );
  });

  test('a BOS that is no token', async () => {
    await withModel({ bos: 400 }, async (model) => {
      await expect(evaluateText(model, 'text')).rejects.toThrow(ModelFormatError);
      await expect(evaluateText(model, 'text')).rejects.toThrow(
        /bos_token_id below the vocabulary's 257, got 400/,
      );
    });
  });
});

describe('while it runs', () => {
  test('progress ends with all tokens', async () => {
    await withModel({ context: 8 }, async (model) => {
      const told: number[] = [];
      await evaluateText(model, textOf(30), {
        onProgress: ({ done, total }) => {
          expect(total).toBe(30);
          told.push(done);
        },
      });
      expect(told).toEqual([7, 11, 15, 19, 23, 27, 30]);
    });
  });

  test('an abort ends it within a window, and the model goes on', async () => {
    await withModel({ context: 8 }, async (model) => {
      const abort = new AbortController();
      const told: number[] = [];
      const run = evaluateText(model, textOf(2000), {
        signal: abort.signal,
        onProgress: ({ done }) => {
          told.push(done);
          if (told.length === 3) abort.abort();
        },
      });
      await expect(run).rejects.toMatchObject({ name: 'AbortError' });
      expect(told).toHaveLength(3);
      expect((await evaluateText(model, textOf(3))).tokens).toBe(3);
      await expect(evaluateText(model, 'a', { signal: abort.signal })).rejects.toMatchObject({
        name: 'AbortError',
      });
    });
  });

  test('requests beside it keep their output, and it its own', async () => {
    await withModel({ context: 64 }, async (model) => {
      const options = { maxNewTokens: 30, eosTokenId: [], doSample: false };
      const alone = await model.generate([256, 1, 2], options);
      const result = await evaluateText(model, textOf(300));
      const [beside, again] = await Promise.all([
        model.generate([256, 1, 2], options),
        evaluateText(model, textOf(300)),
      ]);
      expect(beside.tokens).toEqual(alone.tokens);
      expect(again).toEqual(result);
    });
  });
});
