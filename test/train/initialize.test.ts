import { describe, expect, test } from 'vitest';
import { initialWeights } from '../../lib/train/initialize.js';

const options = {
  seed: 3,
  deviation: 0.02,
  layers: 8,
  ones: /norm\.weight$/,
  residual: /(o_proj|down_proj)\.weight$/,
};

function moments(numbers: Float32Array) {
  const mean = numbers.reduce((sum, x) => sum + x, 0) / numbers.length;
  const power = (k: number) => numbers.reduce((sum, x) => sum + (x - mean) ** k, 0) / numbers.length;
  const deviation = Math.sqrt(power(2));
  return { mean, deviation, skewness: power(3) / deviation ** 3, kurtosis: power(4) / deviation ** 4 };
}

describe('initialWeights', () => {
  test('matrices are normal', async () => {
    const { mean, deviation, skewness, kurtosis } = moments(
      await initialWeights('a.weight', [400, 500], options),
    );
    // Five standard errors of 200,000 numbers.
    expect(Math.abs(mean)).toBeLessThan(5 * (0.02 / Math.sqrt(2e5)));
    expect(Math.abs(deviation / 0.02 - 1)).toBeLessThan(5 / Math.sqrt(4e5));
    expect(Math.abs(skewness)).toBeLessThan(5 * Math.sqrt(6 / 2e5));
    expect(Math.abs(kurtosis - 3)).toBeLessThan(5 * Math.sqrt(24 / 2e5));
  });

  test('what is added to the residual stream begins smaller by √(2 · layers)', async () => {
    const { deviation } = moments(
      await initialWeights('model.layers.0.mlp.down_proj.weight', [300, 300], options),
    );
    expect(deviation / (0.02 / 4)).toBeCloseTo(1, 1);
  });

  test('norms are 1, other vectors 0', async () => {
    expect(await initialWeights('model.norm.weight', [3], options)).toEqual(Float32Array.of(1, 1, 1));
    expect(await initialWeights('a.bias', [3], options)).toEqual(new Float32Array(3));
  });

  test('seed and name decide, and shape only says how far', async () => {
    const draw = (name: string, shape: number[], seed = 3) =>
      initialWeights(name, shape, { ...options, seed });
    const first = await draw('a.weight', [10, 10]);
    expect(await draw('a.weight', [10, 10])).toEqual(first);
    expect((await draw('a.weight', [20, 10])).subarray(0, 100)).toEqual(first);
    for (const other of [
      await draw('b.weight', [10, 10]),
      await draw('a.weight', [10, 10], 4),
      await draw('a.weight', [10, 10], 3 + 2 ** 32),
    ]) {
      const product = other.reduce((sum, x, i) => sum + x * (first[i] as number), 0);
      expect(Math.abs(product / 100 / 0.02 ** 2)).toBeLessThan(0.5); // no correlation: 5 standard errors
    }
  });

  test('sizes that are no multiple of four are filled to the end', async () => {
    const numbers = await initialWeights('a.weight', [3, 3], options);
    expect(numbers.every((x) => x !== 0 && Math.abs(x) < 0.2)).toBe(true);
  });
});
