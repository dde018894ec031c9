// A run that is killed from outside at seeded moments, and started again each time, ends with the same bits.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { readState } from '../../lib/train/checkpoints.js';
import { type Outcome, triga } from '../cli/run_cli.js';
import { generator } from '../random.js';
import { toy, weightsOf } from '../train/toy.js';

const t = toy();
const kills = 20;

/** What a training run is given: a checkpoint after every step, so that much of its time goes into writing them. */
function configure(output: string, more: object = {}): string {
  const path = t.path(`${output}.json`);
  const options = {
    steps: 250,
    batchSize: 2,
    contextLength: 32,
    checkpointEvery: 1,
    evaluateEvery: 50,
    emaDecay: 0.9,
  };
  writeFileSync(
    path,
    JSON.stringify({ model: t.model, data: t.data, output: t.path(output), ...options, ...more }),
  );
  return path;
}

const names = (directory: string): string[] => (existsSync(directory) ? readdirSync(directory) : []);
const isTemporary = (name: string): boolean => name.endsWith('.tmp');

/** Runs it until `moment` has come, and kills it. */
async function kill(config: string, moment: (ended: () => boolean) => Promise<void>): Promise<Outcome> {
  let ended = false;
  let pid = 0;
  const outcome = triga(['train', '--config', config], {
    onStart: (child) => {
      pid = child.pid as number;
    },
  }).finally(() => {
    ended = true;
  });
  await moment(() => ended);
  if (!ended) process.kill(pid, 'SIGKILL');
  return await outcome;
}

/** Waits until something is written to `directory` that is not whole yet. */
async function untilTemporary(directory: string, ended: () => boolean): Promise<void> {
  while (!ended() && !names(directory).some(isTemporary)) await wait(0);
}

async function expectWhole(output: string): Promise<void> {
  const folder = join(t.path(output), 'checkpoints');
  for (const name of names(folder)) if (!isTemporary(name)) await readState(join(folder, name));
}

const lines = (output: string): object[] =>
  readFileSync(join(t.path(output), 'metrics.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => ({ ...JSON.parse(line), tokensPerSecond: 0 }));

const expectSameWeights = (parts: string, whole: string): void =>
  expect(weightsOf(t.path(parts)).equals(weightsOf(t.path(whole)))).toBe(true);

function expectSame(parts: string, whole: string): void {
  expectSameWeights(parts, whole);
  expect(lines(parts)).toEqual(lines(whole));
  for (const folder of [t.path(parts), join(t.path(parts), 'checkpoints')])
    expect(names(folder).filter(isTemporary)).toEqual([]);
}

describe('training that is killed', () => {
  test(`${kills} times, and resumed each time, ends with the same weights`, async () => {
    expect(await triga(['train', '--config', configure('whole')])).toMatchObject({ code: 0 });
    const config = configure('parts');
    const checkpoints = join(t.path('parts'), 'checkpoints');
    const next = generator(6);
    const newest = (): string =>
      names(checkpoints)
        .filter((name) => !isTemporary(name))
        .sort()
        .at(-1) ?? '';
    let [killed, within] = [0, 0];
    const steps: string[] = [];
    for (let i = 0; i < kills; i++) {
      const [aim, delay, count] = [i % 4, 12 * next(), 1 + Math.floor(8 * next())];
      const { signal } = await kill(config, async (ended) => {
        // One of four comes while the process starts, one between any two things, two while a checkpoint is written.
        if (aim === 0) return await wait(600 * next());
        const begun = newest();
        while (!ended() && newest() === begun) await wait(1);
        for (let n = 1; n < count && !ended(); n++) {
          const step = newest();
          while (!ended() && newest() === step) await wait(1);
        }
        if (aim === 1) return await wait(delay);
        await untilTemporary(checkpoints, ended);
        await wait(aim === 2 ? 0 : delay / 4);
      });
      if (signal === 'SIGKILL') killed++;
      if (names(checkpoints).some(isTemporary)) within++;
      steps.push(newest());
      await expectWhole('parts');
    }
    expect(killed).toBe(kills);
    expect(within).toBeGreaterThanOrEqual(3);
    // It comes further between kills, and never falls back.
    expect([...steps].sort()).toEqual(steps);
    expect(new Set(steps).size).toBeGreaterThan(kills / 2);
    const { code, stderr } = await triga(['train', '--config', config]);
    expect(stderr).toMatch(/Going on after step \d+/);
    expect(code).toBe(0);
    expectSame('parts', 'whole');
  });

  test('while the model itself is written', async () => {
    const short = { steps: 3 };
    expect(await triga(['train', '--config', configure('short', short)])).toMatchObject({ code: 0 });
    const config = configure('short-parts', short);
    const output = t.path('short-parts');
    for (let i = 0; i < 3; i++) {
      await kill(config, async (ended) => {
        const begun = (name: string): boolean => /^(config\.json|model\.safetensors)/.test(name);
        while (!ended() && !names(output).some(begun)) await wait(0);
      });
      // A model that is there is a whole one.
      if (names(output).includes('model.safetensors')) expectSameWeights('short-parts', 'short');
    }
    expect(await triga(['train', '--config', config])).toMatchObject({ code: 0 });
    expectSame('short-parts', 'short');
  });
});
