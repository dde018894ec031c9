import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { defaultModel } from '../../lib/generate/model_source.js';
import { loadTextModel, type TextModel } from '../../lib/index.js';

const mostBytes = 8_000_000;

describe('the built-in model', () => {
  let model: TextModel;
  beforeAll(async () => {
    model = await loadTextModel();
  });
  afterAll(async () => {
    await model.dispose();
  });

  test('is what a call without a source gets, and small', () => {
    expect(model.info).toMatchObject({
      family: 'llama',
      contextLength: 512,
      vocabSize: 8192,
      ignoredFields: [],
    });
    const sizes = readdirSync(defaultModel).map((name) => statSync(path.join(defaultModel, name)).size);
    expect(sizes.reduce((a, b) => a + b, 0)).toBeLessThanOrEqual(mostBytes);
  });

  test('draws text by its own defaults, the same for a seed', async () => {
    const [a, b, other] = await Promise.all(
      [7, 7, 8].map((seed) => model.generate('Once upon a time', { maxNewTokens: 60, seed })),
    );
    expect(a?.text).toBe(b?.text);
    expect(a?.text).not.toBe(other?.text);
    const words = a?.text.match(/\p{L}+/gu) ?? [];
    expect(words.length).toBeGreaterThan(20);
  });
});
