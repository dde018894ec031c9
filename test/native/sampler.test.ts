import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type SampleRow, sampleMode } from '../../lib/ops/sampling/row.js';
import { generator } from '../random.js';
import { runSample } from '../run_sample.js';
import { logitsOf, sampleOf, samples } from '../suites/sample.js';
import type { Sample } from '../suites/suite.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
let folder = '';
let program = '';

beforeAll(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'triga-sampler-'));
  program = path.join(folder, 'sampler_test');
  const flags = [
    '-std=c++17',
    '-O2',
    '-ffp-contract=off',
    '-fsanitize=address,undefined',
    '-fno-sanitize-recover=all',
  ];
  execFileSync('g++', [...flags, '-I.', 'native/sampler.cc', 'test/native/sampler_test.cc', '-o', program], {
    cwd: root,
  });
}, 120_000);

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** A sample and its outputs by the reference, as the program reads them. */
function encode(s: Sample): Buffer[] {
  const out = runSample(s);
  const { R = 0, V = 0, K = 0, L = 0 } = s.dims;
  const f32 = (x: Iterable<number> = []): Buffer => Buffer.from(Float32Array.from(x).buffer);
  const i32 = (x: Iterable<number> = []): Buffer => Buffer.from(Int32Array.from(x).buffer);
  const { logits, row_floats, row_ints, lists } = s.inputs;
  return [
    ...[i32([R, V, K, L]), f32(logits?.data), f32(row_floats?.data), i32(row_ints?.data), i32(lists?.data)],
    ...[i32(out.ids?.data), f32(out.logprobs?.data), i32(out.top_ids?.data), f32(out.top_logprobs?.data)],
  ];
}

function replay(name: string, cases: readonly Sample[]): string {
  const file = path.join(folder, name);
  writeFileSync(
    file,
    Buffer.concat([Buffer.from(Int32Array.of(cases.length).buffer), ...cases.flatMap(encode)]),
  );
  try {
    return execFileSync(program, [file], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    return stdout + stderr;
  }
}

function anyRow(next: () => number, vocabulary: number): Partial<SampleRow> {
  const often = <T>(p: number, value: () => T, other: T): T => (next() < p ? value() : other);
  const ids = (n: number): number[] =>
    Array.from({ length: Math.floor(next() * n) }, () => Math.floor(next() * (vocabulary + 2)) - 1);
  const f = Math.fround;
  const history = ids(30);
  return {
    mode: often(
      0.6,
      () => sampleMode.sample,
      often(0.5, () => sampleMode.beam, sampleMode.greedy),
    ),
    temperature: often(0.5, () => f(0.2 + 2 * next()), 1),
    topK: often(0.3, () => Math.floor(next() * vocabulary * 1.2), 0),
    topP: often(0.4, () => f(next()), 1),
    minP: often(0.2, () => f(next() * 0.2), 0),
    typicalP: often(0.3, () => f(next()), 1),
    repetitionPenalty: often(0.2, () => f(0.5 + next()), 1),
    presencePenalty: often(0.1, () => f(next()), 0),
    frequencyPenalty: often(0.1, () => f(next()), 0),
    noRepeatNgramSize: often(0.2, () => 1 + Math.floor(next() * 3), 0),
    encoderNoRepeatNgramSize: often(0.1, () => 1 + Math.floor(next() * 3), 0),
    seed: [Math.floor(next() * 2 ** 32) | 0, Math.floor(next() * 2 ** 32) | 0],
    returnIndex: Math.floor(next() * 4),
    position: Math.floor(next() * 1000),
    history,
    promptLength: Math.floor(next() * (history.length + 1)),
    encoder: ids(20),
    badWords: often(0.1, () => [[...ids(3), 3], [1]], []),
    suppressed: often(0.2, () => ids(6), []),
    forced: often(0.04, () => ids(4), []),
    allowed: often(
      0.1,
      () => Array.from({ length: Math.ceil(vocabulary / 32) }, () => Math.floor(next() * 2 ** 32) | 0),
      undefined,
    ),
  };
}

test('the samples of the suite', () => {
  expect(replay('suite', samples)).toBe(`${samples.length} cases, 0 failures\n`);
});

test('any rows choose the same ids', () => {
  const next = generator(77);
  const cases = Array.from({ length: 400 }, (_, i) => {
    const vocabulary = 1 + Math.floor(next() ** 3 * 900);
    const rows = Array.from({ length: 3 }, () => anyRow(next, vocabulary));
    const k = Math.floor(next() * 6);
    return sampleOf(`any ${i}`, vocabulary, k, rows, logitsOf(3 * vocabulary, i, i % 3 === 0 ? 0.5 : 0));
  });
  expect(replay('any', cases)).toBe('400 cases, 0 failures\n');
});

test('a large vocabulary', () => {
  const vocabulary = 20_000;
  const part = { mode: sampleMode.sample, seed: [1, 2] as const };
  const rows = [{ topP: 0.95 }, { topK: 300, topP: 0.7 }, { typicalP: 0.5 }, { temperature: 0.1 }].map(
    (row, position) => ({
      ...part,
      ...row,
      position,
    }),
  );
  expect(replay('large', [sampleOf('large', vocabulary, 50, rows, logitsOf(4 * vocabulary, 3))])).toBe(
    '1 cases, 0 failures\n',
  );
});
