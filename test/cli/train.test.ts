import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { toy, toyConfig, weightsOf } from '../train/toy.js';
import { hasStories, stories, triga } from './run_cli.js';

const t = toy();

/** A configuration file of a run, and the path of it. */
function configure(output: string, more: object = {}): string {
  const path = t.path(`${output}.json`);
  const options = { steps: 6, batchSize: 2, contextLength: 32, evaluateEvery: 3, checkpointEvery: 4 };
  writeFileSync(
    path,
    JSON.stringify({ model: t.model, data: t.data, output: t.path(output), ...options, ...more }),
  );
  return path;
}

/** A directory with what a new model needs: configuration and tokenizer. */
function newModel(): string {
  writeFileSync(join(t.tokenizer, 'config.json'), JSON.stringify(toyConfig));
  return t.tokenizer;
}

describe('triga train', () => {
  test('flags: what is rare is told on stderr, the result on stdout', async () => {
    const output = t.path('flags');
    const { code, stdout, stderr } = await triga([
      ...[
        'train',
        newModel(),
        t.data,
        '-o',
        output,
        '--steps',
        '5',
        '--batch-size',
        '2',
        '--context-length',
        '32',
      ],
      ...['--schedule', 'linear', '--learning-rate', '1e-3', '--warmup-steps', '0', '--evaluate-every', '2'],
      ...['--checkpoint-every', '4', '--keep-checkpoints', '1', '--recompute', '--threads', '1'],
    ]);
    expect(stderr.trimEnd().split('\n')).toEqual([
      expect.stringMatching(/^\d+ parameters on \w+, about [\d.]+ [KM]iB of memory$/),
      expect.stringMatching(/^Step 2: validation loss [\d.]+, [\d.]+ bits a byte$/),
      expect.stringMatching(/^Step 4: validation loss/),
      `Step 4: checkpoint ${join(output, 'checkpoints/step-00000004')}`,
      expect.stringMatching(/^Step 5: validation loss/),
      `Step 5: checkpoint ${join(output, 'checkpoints/step-00000005')}`,
    ]);
    expect(stdout).toMatch(
      /flags: 5 steps, 320 tokens, loss [\d.]+, [\d.]+ bits a byte on the validation split; [\d.]+ [KM]iB of memory\n$/,
    );
    expect(code).toBe(0);
    expect(readdirSync(join(output, 'checkpoints'))).toEqual(['step-00000005']);
    expect(existsSync(join(output, 'model.safetensors'))).toBe(true);
  });

  test('a configuration file; flags win; --json', async () => {
    const { code, stdout, stderr } = await triga([
      'train',
      '--config',
      configure('file'),
      '--steps',
      '3',
      '--json',
    ]);
    expect(code).toBe(0);
    expect(stderr).toMatch(/parameters on/);
    const result = JSON.parse(stdout);
    expect(Object.keys(result)).toEqual([
      ...[
        'directory',
        'steps',
        'tokens',
        'loss',
        'validationLoss',
        'validationBitsPerByte',
        'bytes',
        'estimatedBytes',
      ],
    ]);
    expect(result).toMatchObject({ directory: t.path('file'), steps: 3, tokens: 3 * 2 * 32 });
  });

  test('Ctrl-C: a checkpoint, exit code 130, and the same command goes on', async () => {
    const slow = { steps: 400, checkpointEvery: 1000, evaluateEvery: 0 };
    const config = configure('interrupted', slow);
    const metrics = join(t.path('interrupted'), 'metrics.jsonl');
    const { code, stdout, stderr } = await triga(['train', '--config', config], {
      onStart: (child) => {
        const poll = setInterval(() => {
          // Metrics are written after 20 steps.
          if (!existsSync(metrics) || readFileSync(metrics).length === 0) return;
          clearInterval(poll);
          child.kill('SIGINT');
        }, 2);
        child.on('close', () => clearInterval(poll));
      },
    });
    expect(code).toBe(130);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/Step \d+: checkpoint .*step-\d+\n$/);
    expect(existsSync(join(t.path('interrupted'), 'model.safetensors'))).toBe(false);
    const again = await triga(['train', '--config', config]);
    expect(again.stderr).toMatch(/Going on after step \d+, from .*interrupted/);
    expect(again.code).toBe(0);
    expect((await triga(['train', '--config', configure('whole', slow)])).code).toBe(0);
    expect(weightsOf(t.path('interrupted')).equals(weightsOf(t.path('whole')))).toBe(true);
  });

  test('--no-resume begins anew', async () => {
    const config = configure('anew');
    await triga(['train', '--config', config]);
    const again = await triga(['train', '--config', config]);
    expect(again.stderr).toMatch(/Going on after step 6/);
    const anew = await triga(['train', '--config', config, '--no-resume']);
    expect(anew.stderr).not.toMatch(/Going on/);
    expect(anew.stderr).toMatch(/Step 4: checkpoint/);
  });

  test.skipIf(!hasStories)('data of another tokenizer is refused', async () => {
    const { code, stderr } = await triga(['train', stories, t.data, '-o', t.path('stories'), '--steps', '1']);
    expect(stderr).toMatch(/^triga: train: .*expected tokens of the model's own tokenizer/);
    expect(code).toBe(1);
  });

  test('wrong usage is 2', async () => {
    const model = newModel();
    for (const [args, message] of [
      [[], /expected MODEL/],
      [[model], /expected DATA/],
      [[model, t.data, '--steps', '1'], /expected --output/],
      [[model, t.data, '-o', t.path('x')], /expected --steps/],
      [[model, t.data, '-o', t.path('x'), '--steps', 'many'], /expected a number/],
      [[model, t.data, '-o', t.path('x'), '--step', '1'], /unknown option '--step'; did you mean --steps\?/],
      [[model, t.data, '-o', t.path('x'), '--steps', '1', '--optimizer', 'adam'], /adamw, sgd/],
      [
        ['--config', configure('odd', { learnigRate: 1 })],
        /unknown option "learnigRate"; did you mean "learningRate"/,
      ],
      [['--config', configure('model', { model: 5 })], /"model" of the configuration/],
      [['--config', t.path('missing.json')], /missing\.json/],
    ] as const) {
      const { code, stdout, stderr } = await triga(['train', ...args]);
      expect(stderr).toMatch(message);
      expect(stdout).toBe('');
      expect([code, args.join(' ')]).toEqual([/--config/.test(args.join(' ')) ? 1 : 2, args.join(' ')]);
    }
    const { code, stderr } = await triga(['train', model, t.data, '-o', t.path('x'), '--steps', '-1']);
    expect(stderr).toMatch(/expected steps to be an integer/);
    expect(code).toBe(1);
  });

  test('--help has every option of train()', async () => {
    const { stdout } = await triga(['train', '--help']);
    const { trainOptionNames } = await import('../../lib/train/options.js');
    const flags = trainOptionNames.filter((name) => !['signal', 'onEvent', 'device'].includes(name));
    for (const name of flags) {
      const flag = name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`);
      expect(stdout).toContain(name === 'resume' ? '--no-resume' : `--${flag}`);
    }
  });
});
