import { describe, expect, test } from 'vitest';
import { learningRateAt, type Schedule, schedules } from '../../lib/train/schedule.js';
import { type Golden, type GoldenTensor, hasGolden, readGolden } from '../golden.js';

const golden = hasGolden('ops') ? readGolden('ops') : undefined;
if (!golden) console.warn('test/train: ../shared/golden/ops is absent: its cases are skipped');

const names: Readonly<Record<string, Schedule>> = {
  lr_constant_with_warmup: 'constant',
  lr_cosine: 'cosine',
  lr_cosine_with_restarts: 'cosine_with_restarts',
  lr_inverse_sqrt: 'inverse_sqrt',
  lr_linear: 'linear',
  lr_polynomial: 'polynomial',
};
const base = { learningRate: 1, minLearningRate: 0, warmupSteps: 4, decaySteps: 5, steps: 20 };

describe('learningRateAt', () => {
  test.skipIf(!golden).each(Object.entries(names))('%s is that of transformers', (name, schedule) => {
    const { data } = (golden as Golden<Record<string, unknown>>).tensors[`${name}/values`] as GoldenTensor;
    // The last of the file is beyond the run, where transformers' cosine rises again.
    data.subarray(0, 21).forEach((want, step) => {
      expect(learningRateAt(step, { ...base, schedule })).toBeCloseTo(want, 6);
    });
  });

  test('inverse_sqrt without warm-up begins at the top and falls by √2 in 10,000 steps', () => {
    const options = { ...base, schedule: 'inverse_sqrt', warmupSteps: 0 } as const;
    expect(learningRateAt(0, options)).toBe(1);
    expect(learningRateAt(10_000, options)).toBeCloseTo(Math.SQRT1_2, 12);
  });

  test('warmup_stable_decay rises, stays, and falls in a line', () => {
    const at = (step: number) =>
      learningRateAt(step, { ...base, schedule: 'warmup_stable_decay', minLearningRate: 0.2 });
    expect([0, 2, 4, 10, 15].map(at)).toEqual([0, 0.5, 1, 1, 1]);
    expect(at(17)).toBeCloseTo(0.2 + 0.8 * 0.6, 12);
    expect(at(20)).toBeCloseTo(0.2, 12);
  });

  test.each(schedules)('%s is finite at every step, with and without warm-up', (schedule) => {
    for (const warmupSteps of [0, 1, 20, 30])
      for (let step = 0; step <= 20; step++) {
        const rate = learningRateAt(step, { ...base, schedule, warmupSteps });
        expect(rate).toBeGreaterThanOrEqual(0);
        expect(rate).toBeLessThanOrEqual(1);
      }
  });

  test.each(['linear', 'cosine', 'cosine_with_restarts', 'warmup_stable_decay'] as const)(
    '%s ends at the least',
    (schedule) => {
      expect(learningRateAt(20, { ...base, schedule, minLearningRate: 0.1 })).toBeCloseTo(0.1, 12);
    },
  );
});
