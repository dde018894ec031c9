import { describe, expect, test } from 'vitest';
import { InvalidArgumentError } from '../../lib/errors.js';
import { type TrainOptions, trainSettings } from '../../lib/train/options.js';

const refusal = (options: object): string => {
  try {
    trainSettings({ output: 'out', steps: 100, ...options } as TrainOptions);
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidArgumentError);
    return (error as Error).message;
  }
  return 'taken';
};

describe('trainSettings', () => {
  test('defaults', () => {
    expect(trainSettings({ output: 'out', steps: 250, batchSize: undefined })).toMatchObject({
      batchSize: 8,
      accumulation: 1,
      optimizer: 'adamw',
      learningRate: 1e-3,
      schedule: 'cosine',
      warmupSteps: 3,
      decaySteps: 50,
      beta2: 0.95,
      compute: 'auto',
      resume: true,
      device: 'cpu',
    });
  });

  test.each([
    [{ learnigRate: 1 }, /unknown option "learnigRate"; did you mean "learningRate"\?/],
    [{ batch_size: 1 }, /did you mean "batchSize"/],
    [{ output: '' }, /expected output to be a path/],
    [{ output: 5 }, /expected output to be a path, got 5/],
    [{ steps: undefined }, /expected steps/],
    [{ steps: 0 }, /expected steps to be an integer of at least 1|expected steps to be an integer from 1/],
    [{ steps: 1.5 }, /expected steps to be an integer/],
    [{ batchSize: -1 }, /expected batchSize to be an integer/],
    [{ batchSize: '8' }, /expected batchSize to be an integer.*got 8/],
    [{ learningRate: Number.NaN }, /expected learningRate to be a number of at least 0, got NaN/],
    [{ learningRate: Number.POSITIVE_INFINITY }, /expected learningRate/],
    [{ beta1: 1 }, /expected beta1 to be a number from 0/],
    [{ emaDecay: 1 }, /expected emaDecay/],
    [{ labelSmoothing: -0.1 }, /expected labelSmoothing/],
    [{ seed: 2 ** 60 }, /expected seed/],
    [{ threads: 0 }, /expected threads/],
    [{ optimizer: 'adam' }, /expected optimizer to be one of adamw, sgd, got "adam"/],
    [{ schedule: 'step' }, /expected schedule to be one of constant, linear/],
    [{ compute: 'f16' }, /expected compute to be one of auto, f32, bf16/],
    [{ device: 'cuda' }, /expected device to be one of cpu, reference/],
    [{ recompute: 'false' }, /expected recompute to be a boolean, got "false"/],
    [{ onEvent: {} }, /expected onEvent to be a function/],
    [{ signal: {} }, /expected signal to be an AbortSignal/],
    [{ minLearningRate: 0.1 }, /expected minLearningRate of at most learningRate 0.001, got 0.1/],
    [{ momentum: 0.9 }, /momentum is an option of optimizer sgd, got optimizer adamw/],
    [{ optimizer: 'sgd', beta2: 0.9 }, /beta2 is an option of optimizer adamw/],
    [{ decaySteps: 5 }, /decaySteps is an option of schedule warmup_stable_decay, got schedule cosine/],
    [{ schedule: 'constant', minLearningRate: 1e-5 }, /minLearningRate is an option of schedule linear/],
  ])('%j is refused', (options, message) => {
    expect(refusal(options)).toMatch(message);
  });

  test('the options of a choice go with it', () => {
    expect(refusal({ optimizer: 'sgd', momentum: 0.5, nesterov: true })).toBe('taken');
    expect(refusal({ schedule: 'warmup_stable_decay', decaySteps: 5, minLearningRate: 1e-4 })).toBe('taken');
  });

  test('no object at all', () => {
    expect(() => trainSettings(undefined as unknown as TrainOptions)).toThrow(InvalidArgumentError);
  });
});
