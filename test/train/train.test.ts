import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadTextModel, type TrainEvent, type TrainOptions, train } from '../../lib/index.js';
import { availableIsas } from '../../lib/testing.js';
import { readTensors } from '../golden.js';
import { withIsa } from '../with_isa.js';
import { toy, toyConfig, weightsOf } from './toy.js';

const t = toy();
const options = (output: string, more: Partial<TrainOptions> = {}): TrainOptions => ({
  output: t.path(output),
  steps: 12,
  batchSize: 4,
  contextLength: 32,
  learningRate: 3e-3,
  evaluateEvery: 6,
  checkpointEvery: 5,
  seed: 1,
  ...more,
});
const run = (output: string, more: Partial<TrainOptions> = {}) =>
  train(t.model, t.data, options(output, more));
const checkpoints = (output: string) => readdirSync(join(t.path(output), 'checkpoints')).sort();
const metrics = (output: string) =>
  readFileSync(join(t.path(output), 'metrics.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Extract<TrainEvent, { type: 'step' | 'evaluation' }>);

/** Runs until `stop` ends it, and once more to the end. */
async function twice(output: string, more: Partial<TrainOptions>): Promise<TrainEvent[]> {
  const abort = new AbortController();
  await expect(
    run(output, {
      ...more,
      signal: abort.signal,
      onEvent: (event) => event.type === 'step' && event.step === 7 && abort.abort(),
    }),
  ).rejects.toMatchObject({ name: 'AbortError' });
  expect(checkpoints(output)).toContain('step-00000007');
  const events: TrainEvent[] = [];
  await run(output, { ...more, onEvent: (event) => void events.push(event) });
  return events;
}

describe('train', () => {
  test('learns, tells of it, and writes a model that loads', async () => {
    const events: TrainEvent[] = [];
    const result = await run('learns', {
      steps: 60,
      checkpointEvery: 25,
      evaluateEvery: 30,
      onEvent: (event) => void events.push(event),
    });
    expect(result).toMatchObject({ directory: t.path('learns'), steps: 60, tokens: 60 * 4 * 32 });
    const steps = events.filter((event) => event.type === 'step');
    expect(steps.map(({ step }) => step)).toEqual(Array.from({ length: 60 }, (_, i) => i + 1));
    expect(steps[0]?.loss).toBeCloseTo(Math.log(257), 1);
    expect(result.loss).toBe(steps.at(-1)?.loss);
    expect(result.loss).toBeLessThan(3);
    expect(result.validationLoss).toBeLessThan(3);
    expect(result.bytes).toBeGreaterThan(0);
    expect(result.estimatedBytes / result.bytes).toBeGreaterThan(0.5);
    expect(result.estimatedBytes / result.bytes).toBeLessThan(2);

    const rare = events.filter((event) => event.type !== 'step');
    expect(rare.map(({ type }) => type)).toEqual([
      'start',
      'checkpoint',
      'evaluation',
      'checkpoint',
      'evaluation',
      'checkpoint',
    ]);
    expect(rare[0]).toMatchObject({
      parameters: 257 * 32 + 2 * (32 * 32 * 2 + 32 * 16 * 2 + 3 * 32 * 48 + 64) + 32,
    });
    expect(checkpoints('learns')).toEqual(['step-00000050', 'step-00000060']);
    expect(readdirSync(t.path('learns')).sort()).toEqual(
      expect.arrayContaining([
        'checkpoints',
        'config.json',
        'loss.svg',
        'metrics.jsonl',
        'model.safetensors',
        'tokenizer.json',
      ]),
    );
    const lines = events.flatMap((event): object[] => {
      if (event.type === 'evaluation') return [event];
      if (event.type !== 'step') return [];
      const { steps: _, ...line } = event;
      return [line];
    });
    expect(metrics('learns')).toEqual(lines);

    await using model = await loadTextModel(t.path('learns'));
    const { text } = await model.generate('the old ', { maxNewTokens: 20 });
    expect(text).toMatch(/^[a-z .]+$/);
  });

  test("validation: bits a byte are nats a token over the split's bytes a token", async () => {
    const result = await run('bits');
    const { splits } = JSON.parse(readFileSync(join(t.data, 'manifest.json'), 'utf8'));
    const { tokens, bytes } = splits.validation;
    expect(result.validationBitsPerByte).toBeCloseTo(
      ((result.validationLoss as number) / Math.LN2) * (tokens / bytes),
      10,
    );
    const none = await run('no-validation', { evaluateEvery: 0 });
    expect(none.validationLoss).toBeUndefined();
    expect(weightsOf(none.directory)).toEqual(weightsOf(result.directory));
  });

  test('the last of a finished run is told again, and nothing is done twice', async () => {
    const first = await run('again');
    const events: TrainEvent[] = [];
    const second = await run('again', { onEvent: (event) => void events.push(event) });
    expect(events.map(({ type }) => type)).toEqual(['start', 'resume']);
    const { bytes: _, ...same } = first;
    expect(second).toMatchObject(same);
    expect(metrics('again')).toHaveLength(12 + 2);
  });

  test('resume: false begins anew, and old checkpoints are gone', async () => {
    await run('anew', { steps: 20 });
    const other = await run('anew', { steps: 6, seed: 2, resume: false, checkpointEvery: 4 });
    expect(checkpoints('anew')).toEqual(['step-00000004', 'step-00000006']);
    expect(metrics('anew').filter(({ type }) => type === 'step')).toHaveLength(6);
    const fresh = await run('fresh', { steps: 6, seed: 2 });
    expect(weightsOf(other.directory)).toEqual(weightsOf(fresh.directory));
  });

  test('fine-tuning begins where the model is, and a tokenizer goes along', async () => {
    const base = await run('base', { steps: 40 });
    const losses: number[] = [];
    await train(base.directory, t.data, {
      ...options('tuned', { steps: 5, learningRate: 1e-4 }),
      onEvent: (event) => event.type === 'step' && losses.push(event.loss),
    });
    expect(losses[0]).toBeLessThan(base.loss + 0.3);
    expect(readdirSync(t.path('tuned'))).toContain('tokenizer.json');
  });
});

describe('the same bits', () => {
  test('with 1, 2 and 3 threads, with and without recomputation', async () => {
    const { directory } = await run('one', { threads: 1 });
    const want = weightsOf(directory);
    for (const threads of [2, 3])
      expect(weightsOf((await run(`threads-${threads}`, { threads })).directory).equals(want)).toBe(true);
    expect(weightsOf((await run('recompute', { recompute: true })).directory).equals(want)).toBe(true);
  });

  test('of a model wide enough to be divided among threads', async () => {
    const config = { ...toyConfig, hidden_size: 192, intermediate_size: 500, num_hidden_layers: 1 };
    const [one, two, three] = await Promise.all(
      [1, 2, 3].map((threads) =>
        train(
          { config },
          t.data,
          options(`wide-${threads}`, { threads, steps: 4, batchSize: 8, contextLength: 64, warmupSteps: 0 }),
        ),
      ),
    );
    const want = weightsOf(one?.directory as string);
    for (const { directory } of [two, three] as { directory: string }[])
      expect(weightsOf(directory).equals(want)).toBe(true);
  });

  test.each([
    ['adamw', { emaDecay: 0.9 }],
    ['sgd', { optimizer: 'sgd', learningRate: 0.1, nesterov: true }],
    ['accumulation', { accumulation: 3, batchSize: 2, labelSmoothing: 0.1 }],
    ['bf16', { compute: 'bf16', schedule: 'warmup_stable_decay', decaySteps: 4 }],
  ] as const)('after a run that was ended and one that goes on: %s', async (name, more) => {
    const whole = await run(`${name}-whole`, more);
    const events = await twice(`${name}-parts`, more);
    expect(events[1]).toMatchObject({ type: 'resume', step: 7 });
    expect(weightsOf(t.path(`${name}-parts`)).equals(weightsOf(whole.directory))).toBe(true);
    const clock = (lines: ReturnType<typeof metrics>) =>
      lines.map((line) => ({ ...line, tokensPerSecond: 0 }));
    expect(clock(metrics(`${name}-parts`))).toEqual(clock(metrics(`${name}-whole`)));
  });

  test('other seeds are other runs', async () => {
    const [a, b] = [await run('seed-1', { steps: 2 }), await run('seed-2', { steps: 2, seed: 2 })];
    expect(weightsOf(a.directory).equals(weightsOf(b.directory))).toBe(false);
  });
});

describe('what an option does', () => {
  test('accumulation: batches of a step are as one large batch, but for rounding', async () => {
    const one = await run('large', { batchSize: 8, evaluateEvery: 0 });
    const parts = await run('parts', { batchSize: 2, accumulation: 4, evaluateEvery: 0 });
    expect(parts.tokens).toBe(one.tokens);
    expect(Math.abs(parts.loss / one.loss - 1)).toBeLessThan(1e-4);
  });

  test('emaDecay: what is written and evaluated is the average', async () => {
    const keep = 0.75;
    const { directory, validationLoss } = await run('ema', {
      steps: 4,
      emaDecay: keep,
      checkpointEvery: 1,
      keepCheckpoints: 4,
      warmupSteps: 0,
    });
    const at = (step: number, file: string) =>
      readTensors(join(directory, 'checkpoints', `step-0000000${step}`, file));
    for (let step = 2; step <= 4; step++) {
      const before = at(step - 1, 'optimizer.safetensors')['ema.model.norm.weight']?.data as Float64Array;
      const after = at(step, 'optimizer.safetensors')['ema.model.norm.weight']?.data as Float64Array;
      const weight = at(step, 'model.safetensors')['model.norm.weight']?.data as Float64Array;
      expect(weight).not.toEqual(after);
      after.forEach((x, i) => {
        expect(x).toBeCloseTo(keep * (before[i] as number) + (1 - keep) * (weight[i] as number), 6);
      });
    }
    const written = readTensors(join(directory, 'model.safetensors'));
    const average = at(4, 'optimizer.safetensors');
    for (const [name, { data }] of Object.entries(written))
      expect(average[`ema.${name}`]?.data).toEqual(data);

    // A rate of 0 changes nothing: the evaluation is that of the written model.
    const still = await train(directory, t.data, options('still', { steps: 1, learningRate: 0 }));
    expect(still.validationLoss).toBe(validationLoss);
  });

  test('labelSmoothing: the training loss has it, the validation loss does not', async () => {
    const plain = await run('plain', { steps: 1 });
    const smooth = await run('smooth', { steps: 1, labelSmoothing: 0.1 });
    // With the rate of the first step of warm-up, 0, both are losses of the first weights.
    expect(smooth.validationLoss).toBe(plain.validationLoss);
    expect(smooth.loss).not.toBe(plain.loss);
    const trained = await run('smooth-trained', { steps: 60, labelSmoothing: 0.1, evaluateEvery: 60 });
    expect(trained.validationLoss).toBeLessThan(trained.loss);
  });

  test('sgd learns', async () => {
    const { loss } = await run('sgd', { optimizer: 'sgd', learningRate: 0.5, steps: 60, evaluateEvery: 0 });
    expect(loss).toBeLessThan(4);
  });

  test.each(availableIsas().filter((isa) => /bf16|amx/.test(isa)))(
    'bf16 learns as f32 does: %s',
    async (isa) => {
      const at = (compute: 'bf16' | 'f32') =>
        withIsa(isa, () => run(`${isa}-${compute}`, { compute, steps: 40, evaluateEvery: 40 }));
      const [bf16, f32] = [await at('bf16'), await at('f32')];
      expect(weightsOf(bf16.directory).equals(weightsOf(f32.directory))).toBe(false);
      expect(Math.abs((bf16.validationLoss as number) / (f32.validationLoss as number) - 1)).toBeLessThan(
        0.02,
      );
    },
  );

  test('device reference gives what the kernels give, but for rounding', async () => {
    const small = { steps: 3, batchSize: 1, contextLength: 8, evaluateEvery: 0, compute: 'f32' } as const;
    const [slow, fast] = [
      await run('reference', { ...small, device: 'reference' }),
      await run('kernels', small),
    ];
    expect(Math.abs(slow.loss / fast.loss - 1)).toBeLessThan(1e-5);
    expect(slow.estimatedBytes).toBeNaN();
  });

  test('a new model needs no tokenizer', async () => {
    const { directory } = await train({ config: toyConfig }, t.data, options('ids', { steps: 1 }));
    await using model = await loadTextModel(directory);
    expect((await model.generate([1, 2, 3], { maxNewTokens: 2 })).tokens).toHaveLength(2);
  });
});
