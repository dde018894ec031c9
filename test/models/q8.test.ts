import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { LoadOptions } from '../../lib/generate/load_text_model.js';
import { loadTextModel, type TextModel } from '../../lib/index.js';
import { availableIsas } from '../../lib/testing.js';
import { hasStories, stories } from '../generate/stories.js';
import { goldenRoot, hasGolden, readGolden } from '../golden.js';
import { withIsa } from '../with_isa.js';

const cases = ['gpt2', 'llama_bf16', 'llama_gqa', 'mistral_sliding', 'qwen2', 'qwen3'];
const places: readonly (readonly ['cpu' | 'reference', string | undefined])[] = [
  ['reference', undefined],
  ...availableIsas().map((isa) => ['cpu', isa] as const),
];

/** Runs with a model on a device and instruction set. */
async function withModel<T>(
  [device, isa]: (typeof places)[number],
  directory: string,
  weights: LoadOptions['weights'],
  use: (model: TextModel) => Promise<T>,
): Promise<T> {
  const run = async (): Promise<T> => {
    await using model = await loadTextModel(directory, { device, weights });
    return await use(model);
  };
  return isa === undefined ? await run() : await withIsa(isa, run);
}

const norm = (x: ArrayLike<number>): number => Math.sqrt(Array.from(x).reduce((sum, v) => sum + v * v, 0));
const relative = (got: ArrayLike<number>, want: ArrayLike<number>): number =>
  norm(Array.from(want).map((w, i) => (got[i] as number) - w)) / norm(want);

/** exp of the mean of −log p of each id after the first. */
function perplexity(logits: ArrayLike<number>, ids: readonly number[], vocabulary: number): number {
  const losses = ids.slice(1).map((id, t) => {
    const row = Array.from({ length: vocabulary }, (_, i) => logits[t * vocabulary + i] as number);
    const most = Math.max(...row);
    return most + Math.log(row.reduce((sum, x) => sum + Math.exp(x - most), 0)) - (row[id] as number);
  });
  return Math.exp(losses.reduce((a, b) => a + b, 0) / losses.length);
}

describe.skipIf(!hasGolden('gpt2')).each(places)('q8 goldens on %s %s', (...place) => {
  test.each(cases)('%s: logits within 5e-2 of f32', async (name) => {
    const golden = readGolden(name).tensors;
    const ids = Array.from(golden['prompt/input_ids']?.data ?? []).slice(
      0,
      golden['prompt/input_ids']?.shape.at(-1),
    );
    await withModel(place, path.join(goldenRoot, name), 'q8', async (model) => {
      expect(model.info.weights).toBe('q8');
      const { data } = await model.logits(ids);
      const error = relative(data, golden['prompt/logits']?.data.subarray(0, data.length) ?? []);
      expect(error).toBeGreaterThan(1e-4); // it is quantized
      expect(error).toBeLessThan(5e-2);
    });
  });
});

describe.skipIf(!hasStories).each(places)('stories260K in q8 on %s %s', (...place) => {
  test('logits within 2e-2, perplexity within 0.5% of f32', async () => {
    const text =
      'Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a ' +
      'big, red ball. She wanted to play with it, but it was too high. Her mom said, "Let me help you." They were happy.';
    const of = (weights: LoadOptions['weights']) =>
      withModel(place, stories, weights, async (model) => {
        const ids = await model.tokenizer.encode(text);
        return { ids, logits: (await model.logits(ids)).data, vocabulary: model.info.vocabSize };
      });
    const [f32, q8] = [await of('f32'), await of('q8')];
    const error = relative(q8.logits, f32.logits);
    expect(error).toBeGreaterThan(1e-4);
    expect(error).toBeLessThan(2e-2);
    const [before, after] = [f32, q8].map(({ ids, logits, vocabulary }) =>
      perplexity(logits, ids, vocabulary),
    ) as [number, number];
    expect(Math.abs(after / before - 1)).toBeLessThan(5e-3);
  });
});
