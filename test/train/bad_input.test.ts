import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { prepareData } from '../../lib/data/prepare_data.js';
import { loadTextModel, type NewModel, type TrainOptions, train } from '../../lib/index.js';
import { readState } from '../../lib/train/checkpoints.js';
import { triga } from '../cli/run_cli.js';
import { toy, toyConfig, weightsOf } from './toy.js';

const t = toy();
const options = (output: string, more: Partial<TrainOptions> = {}): TrainOptions => ({
  output: t.path(output),
  steps: 6,
  batchSize: 2,
  contextLength: 32,
  checkpointEvery: 1,
  evaluateEvery: 0,
  ...more,
});
const run = (output: string, more: Partial<TrainOptions> = {}) =>
  train(t.model, t.data, options(output, more));
const invalid = (message: RegExp) => ({
  name: 'InvalidArgumentError',
  message: expect.stringMatching(message),
});
const malformed = (message: RegExp) => ({
  name: 'ModelFormatError',
  message: expect.stringMatching(message),
});
const checkpoint = (output: string, step: number) =>
  join(t.path(output), 'checkpoints', `step-${String(step).padStart(8, '0')}`);

/** A run that failed has whole checkpoints up to `step`, nothing half, and no model. */
async function expectKept(output: string, step: number): Promise<void> {
  const names = readdirSync(join(t.path(output), 'checkpoints'));
  expect(names.sort().at(-1)).toBe(`step-0000000${step}`);
  for (const name of names) await readState(join(t.path(output), 'checkpoints', name));
  expect(readdirSync(t.path(output)).filter((name) => /safetensors|\.tmp$/.test(name))).toEqual([]);
  await using model = await loadTextModel(checkpoint(output, step));
  expect((await model.logits([1, 2])).data.every(Number.isFinite)).toBe(true);
}

describe('data that does not fit', () => {
  test('a shard that is cut short while it is read', async () => {
    cpSync(t.data, t.path('cut'), { recursive: true });
    const shard = t.path(
      `cut/${readdirSync(t.data).find((name) => /^train.*\.bin$/.test(name) && !/doc/.test(name))}`,
    );
    await expect(
      train(t.model, t.path('cut'), {
        ...options('cut-run'),
        onEvent: (event) => event.type === 'checkpoint' && event.step === 2 && truncateSync(shard, 10),
      }),
    ).rejects.toMatchObject(malformed(/cut\/train/));
    await expectKept('cut-run', 2);
  });

  test('ids beyond the vocabulary, another tokenizer, too little text, no data', async () => {
    const small = { config: { ...toyConfig, vocab_size: 100 } };
    await expect(train(small, t.data, options('small'))).rejects.toMatchObject(
      invalid(/vocabulary of 100.*257/),
    );

    cpSync(t.tokenizer, t.path('other'), { recursive: true });
    writeFileSync(t.path('other/tokenizer.json'), ` ${readFileSync(t.path('other/tokenizer.json'), 'utf8')}`);
    await expect(
      train({ config: toyConfig, tokenizer: t.path('other') }, t.data, options('mixed')),
    ).rejects.toMatchObject(
      invalid(/model's own tokenizer \(.*other, SHA-256 [0-9a-f]{12}….*prepare the data with it/),
    );

    mkdirSync(t.path('few'));
    writeFileSync(t.path('few/a.txt'), 'A few words.');
    writeFileSync(t.path('few/b.txt'), 'Other words.');
    await prepareData([t.path('few')], { tokenizer: t.tokenizer, out: t.path('few-data') });
    await expect(train(t.model, t.path('few-data'), options('few-run'))).rejects.toMatchObject(
      invalid(/more than 32 tokens for a row, got 26.*smaller contextLength/),
    );
    await expect(train(t.model, t.path('nothing'), options('none'))).rejects.toMatchObject(
      invalid(/directory of token shards/),
    );
    for (const output of ['small', 'mixed', 'none']) expect(existsSync(t.path(output))).toBe(false);
  });

  test('a validation split that is shorter than a row', async () => {
    mkdirSync(t.path('lopsided'));
    for (let i = 0; i < 12; i++)
      writeFileSync(t.path(`lopsided/${i}.txt`), `Text ${i}: ${'word '.repeat(i)}`);
    await prepareData([t.path('lopsided')], {
      tokenizer: t.tokenizer,
      out: t.path('lopsided-data'),
      validation: 0.1,
      seed: 3,
    });
    await expect(
      train(
        t.model,
        t.path('lopsided-data'),
        options('lopsided-run', { contextLength: 64, evaluateEvery: 1 }),
      ),
    ).rejects.toMatchObject(invalid(/validation.*tokens or more for a row.*evaluateEvery 0/));
  });
});

describe('models that do not fit', () => {
  const models: Readonly<Record<string, readonly [model: unknown, error: string, message: RegExp]>> = {
    'a field that the family does not know': [
      { config: { ...toyConfig, unheard_of: 1 } },
      'InvalidArgumentError',
      /does not know unheard_of/,
    ],
    'a field that is missing': [
      { config: { ...toyConfig, hidden_size: undefined } },
      'ModelFormatError',
      /hidden_size/,
    ],
    'another family': [{ config: { model_type: 'mamba' } }, 'UnsupportedError', /mamba/],
    'an unknown key': [
      { config: toyConfig, tokeniser: 'x' },
      'InvalidArgumentError',
      /did you mean "tokenizer"/,
    ],
    'no tokenizer': [
      { config: toyConfig, tokenizer: 'nowhere' },
      'InvalidArgumentError',
      /tokenizer\.json, got nowhere/,
    ],
    'no config': [{}, 'InvalidArgumentError', /expected a model directory, or an object/],
    nothing: [undefined, 'InvalidArgumentError', /expected a model directory, or an object/],
    'no directory': ['nowhere', 'InvalidArgumentError', /nowhere/],
  };
  test.each(Object.entries(models))('%s', async (_, [model, name, message]) => {
    await expect(train(model as NewModel, t.data, options('unfit'))).rejects.toMatchObject({
      name,
      message: expect.stringMatching(message),
    });
  });

  test('more positions than it has; the directory that is written to', async () => {
    await expect(run('long', { contextLength: 65 })).rejects.toMatchObject(
      invalid(/at most the model's 64, got 65/),
    );
    const { directory } = await run('self', { steps: 1 });
    await expect(train(directory, t.data, options('self', { steps: 2 }))).rejects.toMatchObject(
      invalid(/output to be another directory/),
    );
  });

  test('more memory than there is is refused before the first step', async () => {
    await expect(run('memory', { batchSize: 2 ** 20, contextLength: 64 })).rejects.toMatchObject({
      name: 'OutOfMemoryError',
      message: expect.stringMatching(/MiB.*smaller batchSize/),
    });
  });

  test('without the addon, a message says how to get it', async () => {
    mkdirSync(t.path('empty'));
    writeFileSync(
      t.path('config.json'),
      JSON.stringify({ model: t.model, data: t.data, ...options('no-addon') }),
    );
    const { code, stderr } = await triga(['train', '--config', t.path('config.json')], {
      env: { TRIGA_PREBUILD: t.path('empty') },
    });
    expect(stderr).toMatch(/npm (rebuild|install|run build|ci)/);
    expect(code).toBe(1);
  });
});

describe('a run that fails', () => {
  test('a loss that is no longer finite', async () => {
    const wild = {
      optimizer: 'sgd',
      learningRate: 1e6,
      maxGradientNorm: 0,
      warmupSteps: 0,
      schedule: 'constant',
    } as const;
    const error = await run('wild', { ...wild, steps: 50 }).catch((e: Error) => e);
    expect(error).toMatchObject(
      invalid(
        /step \d+: expected a finite loss and gradient.*rate of 1000000; the newest checkpoint is that of step \d+; lower/,
      ),
    );
    const failed = Number(/step (\d+): expected/.exec(String(error))?.[1]);
    const kept = Number(/that of step (\d+)/.exec(String(error))?.[1]);
    // The weights after step failed - 1 gave it: what is kept is from before.
    expect(kept).toBe(failed - 2);
    expect(readdirSync(t.path('wild/checkpoints')).sort().at(-1)).toBe(
      `step-${String(kept).padStart(8, '0')}`,
    );
    await readState(checkpoint('wild', kept));
    expect(readdirSync(t.path('wild'))).not.toContain('model.safetensors');
    expect(readFileSync(t.path('wild/metrics.jsonl'), 'utf8').trimEnd().split('\n')).toHaveLength(failed - 1);
    const tame = { ...wild, learningRate: 0.01, maxGradientNorm: 1 };
    const events: string[] = [];
    await run('wild', { ...tame, steps: kept + 1, onEvent: ({ type }) => void events.push(type) });
    expect(events).toEqual(['start', 'resume', 'step', 'checkpoint']);

    await expect(run('wild-early', { ...wild, steps: 50, checkpointEvery: 50 })).rejects.toMatchObject(
      invalid(/there is no checkpoint yet/),
    );
  });

  test('a listener that throws ends it after a checkpoint, and does no harm', async () => {
    const mine = new Error('mine');
    const onEvent = (event: { type: string; step?: number }) => {
      if (event.type === 'step' && event.step === 3) throw mine;
    };
    await expect(run('listener', { onEvent, checkpointEvery: 100 })).rejects.toBe(mine);
    await expectKept('listener', 3);
    await run('listener', { checkpointEvery: 100 });
    const whole = await run('listener-none', { checkpointEvery: 100 });
    expect(weightsOf(t.path('listener')).equals(weightsOf(whole.directory))).toBe(true);
  });

  test('an abort before it begins leaves nothing, one between steps a checkpoint', async () => {
    await expect(run('never', { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' });
    expect(existsSync(t.path('never'))).toBe(false);
    const abort = new AbortController();
    const reason = new Error('enough');
    const aborted = run('aborted', {
      steps: 10_000,
      checkpointEvery: 10_000,
      signal: abort.signal,
      onEvent: (event) =>
        event.type === 'step' && event.step === 4 && setTimeout(() => abort.abort(reason), 3),
    });
    await expect(aborted).rejects.toMatchObject({ name: 'AbortError', cause: reason });
    const [name = ''] = readdirSync(t.path('aborted/checkpoints'));
    const { step } = await readState(t.path(`aborted/checkpoints/${name}`));
    expect(step).toBeGreaterThanOrEqual(4);
    expect(readFileSync(t.path('aborted/metrics.jsonl'), 'utf8').trimEnd().split('\n')).toHaveLength(step);
  });
});

describe('checkpoints that do not fit', () => {
  const harms: Readonly<Record<string, readonly [file: string, harm: (path: string) => void]>> = {
    'weights cut short': ['model.safetensors', (path) => truncateSync(path, 1000)],
    'a bit of a weight': ['model.safetensors', flip],
    'a bit of a moment': ['optimizer.safetensors', flip],
    'no moments': ['optimizer.safetensors', rmSync],
    'no trainer.json': ['trainer.json', rmSync],
    'no JSON': ['trainer.json', (path) => writeFileSync(path, '{')],
    'another format': ['trainer.json', (path) => writeFileSync(path, '{"format": 7}')],
    'no config.json': ['config.json', rmSync],
  };
  function flip(path: string): void {
    const bytes = readFileSync(path);
    bytes[bytes.length - 100] = (bytes[bytes.length - 100] as number) ^ 1;
    writeFileSync(path, bytes);
  }

  test.each(Object.entries(harms))(
    '%s: an error that names the file and the remedy',
    async (name, [file, harm]) => {
      const output = `harm ${name}`;
      await run(output, { steps: 3 });
      const newest = checkpoint(output, 3);
      harm(join(newest, file));
      const error = await run(output).catch((e: Error) => e);
      expect(error).toMatchObject(malformed(/.*/));
      expect(String(error)).toContain(newest);
      expect(String(error)).toContain(file);
      expect(String(error)).toContain(`remove ${newest}`);
      rmSync(newest, { recursive: true });
      const steps: number[] = [];
      await run(output, { onEvent: (event) => event.type === 'step' && steps.push(event.step) });
      expect(steps).toEqual([3, 4, 5, 6]);
    },
  );

  test('of another model, other data, another optimizer, or more steps', async () => {
    await run('first', { steps: 2 });
    const refused = (reason: RegExp) => invalid(new RegExp(`step-00000002.*${reason.source}.*resume: false`));
    const wider = { ...t.model, config: { ...toyConfig, intermediate_size: 64 } };
    await expect(train(wider, t.data, options('first'))).rejects.toMatchObject(
      refused(/expected the model that this run has/),
    );
    await expect(run('first', { optimizer: 'sgd' })).rejects.toMatchObject(
      refused(/expected the optimizer that this run has/),
    );
    await expect(run('first', { emaDecay: 0.5 })).rejects.toMatchObject(
      refused(/expected the ema that this run has/),
    );
    await expect(run('first', { steps: 1 })).rejects.toMatchObject(refused(/expected steps of at least 2/));
    await prepareData([t.path('texts')], { tokenizer: t.tokenizer, out: t.path('all'), repetition: false });
    await expect(train(t.model, t.path('all'), options('first'))).rejects.toMatchObject(
      refused(/expected the tokens that this run has/),
    );
    // A checkpoint that tells less is taken at its word.
    const path = join(checkpoint('first', 2), 'trainer.json');
    const { sha256: _, ...state } = JSON.parse(readFileSync(path, 'utf8'));
    const { documents: __, bytes: ___, ...fixed } = state.fixed;
    writeFileSync(path, JSON.stringify({ ...state, fixed }));
    expect(await run('first', { steps: 3 })).toMatchObject({ steps: 3 });
  });
});

describe('a full disk', () => {
  const mounted = (() => {
    const probe = mkdtempSync(join(tmpdir(), 'triga-mount-'));
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', probe], { stdio: 'ignore' });
      execFileSync('umount', [probe]);
      return true;
    } catch {
      console.warn('test/train: no file system may be mounted here: the full disk is skipped');
      return false;
    } finally {
      rmSync(probe, { recursive: true });
    }
  })();

  test.skipIf(!mounted)(
    'is a typed error; checkpoints are whole, and the run goes on when there is room',
    async () => {
      const disk = t.path('disk');
      mkdirSync(disk);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=600k', 'tmpfs', disk]);
      try {
        const more = { steps: 8, keepCheckpoints: 9 };
        await expect(run('disk', more)).rejects.toMatchObject({
          name: 'OutOfMemoryError',
          code: 'OUT_OF_MEMORY',
          message: expect.stringMatching(/disk.*ENOSPC/),
        });
        await expectKept('disk', readdirSync(join(disk, 'checkpoints')).length);
        execFileSync('mount', ['-o', 'remount,size=64m', disk]);
        await run('disk', more);
        const whole = await run('no-disk', more);
        expect(weightsOf(disk).equals(weightsOf(whole.directory))).toBe(true);
      } finally {
        execFileSync('umount', [disk]);
      }
    },
  );
});
