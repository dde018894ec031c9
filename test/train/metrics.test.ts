import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { lossCurve } from '../../lib/train/loss_curve.js';
import { Metrics } from '../../lib/train/metrics.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'triga-metrics-'));
});
afterEach(() => rm(folder, { recursive: true }));

const step = (n: number) =>
  ({
    type: 'step',
    step: n,
    loss: 5 - n / 10,
    gradientNorm: 1,
    learningRate: 1e-3,
    tokensPerSecond: 100,
    tokens: n * 8,
    epoch: 0,
  }) as const;
const evaluation = (n: number) => ({ type: 'evaluation', step: n, loss: 4, bitsPerByte: 2 }) as const;
const lines = () =>
  readFileSync(join(folder, 'metrics.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { type: string; step: number });

async function write(steps: number): Promise<void> {
  const metrics = new Metrics(folder);
  await metrics.open(0);
  for (let n = 1; n <= steps; n++) await metrics.add(step(n));
  await metrics.add(evaluation(steps));
  await metrics.save();
}

describe('Metrics', () => {
  test('a line for each step and evaluation, and a curve', async () => {
    await write(45);
    expect(lines()).toEqual([...Array.from({ length: 45 }, (_, i) => step(i + 1)), evaluation(45)]);
    expect(readFileSync(join(folder, 'loss.svg'), 'utf8')).toMatch(
      /<polyline[\s\S]*training[\s\S]*validation/,
    );
  });

  test('lines are written now and then, so that a killed run loses few', async () => {
    const metrics = new Metrics(folder);
    await metrics.open(0);
    for (let n = 1; n <= 25; n++) await metrics.add(step(n));
    expect(lines().length).toBe(20);
  });

  test('a run that goes on drops lines of later steps and one that was cut off', async () => {
    await write(30);
    const path = join(folder, 'metrics.jsonl');
    writeFileSync(path, `${readFileSync(path, 'utf8')}{"type":"step","step":3`);
    const metrics = new Metrics(folder);
    await metrics.open(12);
    expect(lines().map((line) => line.step)).toEqual(Array.from({ length: 12 }, (_, i) => i + 1));
    expect(metrics.last('step')).toEqual(step(12));
    expect(metrics.last('evaluation')).toBeUndefined();
    await metrics.add(step(13));
    await metrics.save();
    expect(lines().map((line) => line.step)).toEqual(Array.from({ length: 13 }, (_, i) => i + 1));
  });

  test('a new run begins with an empty file; lines that are no metrics are dropped', async () => {
    await write(3);
    await new Metrics(folder).open(0);
    expect(readFileSync(join(folder, 'metrics.jsonl'), 'utf8')).toBe('');
    writeFileSync(join(folder, 'metrics.jsonl'), 'null\n[]\n5\n{"step":"1"}\n{"step":1}\n');
    await new Metrics(folder).open(5);
    expect(readFileSync(join(folder, 'metrics.jsonl'), 'utf8')).toBe('');
  });
});

describe('lossCurve', () => {
  test('is finite whatever the losses', () => {
    for (const points of [
      [],
      [[1, 3]],
      [
        [1, 3],
        [2, 3],
      ],
      [
        [1, Number.NaN],
        [2, 4],
      ],
      [
        [0, 1],
        [9, Number.POSITIVE_INFINITY],
      ],
    ] as const)
      expect(lossCurve([{ name: 'training', points: points as never }])).not.toMatch(/NaN|Infinity/);
  });

  test('many points become means, the last step stays', () => {
    const points = Array.from({ length: 8000 }, (_, i) => [i + 1, 5 + (i % 2)] as const);
    const svg = lossCurve([{ name: 'training', points }]);
    const drawn = /points="([^"]+)"/.exec(svg)?.[1]?.split(' ') ?? [];
    expect(drawn.length).toBeLessThanOrEqual(400);
    expect(drawn.at(-1)).toMatch(/^780\.0,/);
    expect(new Set(drawn.map((at) => at.split(',')[1])).size).toBe(1);
  });
});
