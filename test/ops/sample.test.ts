import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { allOps, type RefTensor } from '../../lib/ir/define_op.js';
import { Graph } from '../../lib/ir/graph.js';
import { verify } from '../../lib/ir/verify.js';
import { sample } from '../../lib/ops/sample.js';
import { chooseToken, logSoftmax } from '../../lib/ops/sampling/choose.js';
import { exactExp } from '../../lib/ops/sampling/exact_exp.js';
import { packRows, unpackRow } from '../../lib/ops/sampling/pack_rows.js';
import { philox4x32, uniform } from '../../lib/ops/sampling/philox.js';
import {
  floatColumn,
  floatColumns,
  greedyRow,
  intColumn,
  intColumns,
  sampleMode,
} from '../../lib/ops/sampling/row.js';
import { runSample } from '../run_sample.js';
import { logitsOf, samples } from '../suites/sample.js';

const row = (part: Partial<typeof greedyRow>): typeof greedyRow => ({ ...greedyRow, ...part });
const choose = (
  logits: number[],
  part: Partial<typeof greedyRow> = {},
  count = 0,
): ReturnType<typeof chooseToken> => chooseToken(Float64Array.from(logits), row(part), count);

describe('random numbers', () => {
  // The known answers that the authors publish with Random123.
  test.each([
    [
      [0, 0, 0, 0],
      [0, 0],
      [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
    ],
    [
      [-1, -1, -1, -1],
      [-1, -1],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ])('Philox4x32-10 of counter %j', (counter, key, want) => {
    expect(philox4x32(counter as [number, number, number, number], key as [number, number])).toEqual(want);
  });

  test('uniform numbers differ by seed, return index and position, and fill [0, 1)', () => {
    expect(
      new Set([uniform([1, 0], 0, 0), uniform([0, 1], 0, 0), uniform([1, 0], 1, 0), uniform([1, 0], 0, 1)])
        .size,
    ).toBe(4);
    const drawn = Array.from({ length: 4000 }, (_, i) => uniform([5, 6], 0, i));
    expect(drawn.every((u) => u >= 0 && u < 1)).toBe(true);
    expect(drawn.reduce((s, u) => s + u, 0) / 4000).toBeCloseTo(0.5, 1);
  });

  test('exactExp is exp within 2 ulp', () => {
    for (let x = 0; x > -700; x -= 0.0731) {
      expect(Math.abs(exactExp(x) / Math.exp(x) - 1), `x = ${x}`).toBeLessThan(5e-16);
    }
    expect(exactExp(0)).toBe(1);
    expect(exactExp(Number.NEGATIVE_INFINITY)).toBe(exactExp(-700));
  });
});

describe('sample', () => {
  test('shapes', () => {
    const g = new Graph();
    const { ids, logprobs, top_ids, top_logprobs } = sample(
      {
        logits: g.input('logits', 'f32', ['R', 50]),
        row_floats: g.input('row_floats', 'f32', ['R', floatColumns]),
        row_ints: g.input('row_ints', 'i32', ['R', intColumns]),
        lists: g.input('lists', 'i32', ['L']),
      },
      { k: 'K' },
    );
    g.output('ids', ids);
    verify(g);
    expect(ids).toMatchObject({ dtype: 'i32', shape: ['R'] });
    expect(logprobs).toMatchObject({ dtype: 'f32', shape: ['R'] });
    expect(top_ids).toMatchObject({ dtype: 'i32', shape: ['R', 'K'] });
    expect(top_logprobs).toMatchObject({ dtype: 'f32', shape: ['R', 'K'] });
    expect(allOps.get('sample')?.kind).toBe('primitive');
  });

  test('greedy takes the first greatest, and reports its log-probability', () => {
    const { id, logprob, top } = choose([1, 3, 3, 0], {}, 3);
    expect(id).toBe(1);
    expect(logprob).toBeCloseTo(3 - Math.log(Math.E + 2 * Math.E ** 3 + 1), 12);
    expect(top.ids).toEqual([1, 2, 0]);
  });

  test('the log-probability is that of the raw logits, whatever penalties and warpers say', () => {
    const logits = [1, 2, 4, 0];
    const { id, logprob } = choose(logits, { suppressed: [2], mode: sampleMode.sample, temperature: 0.01 });
    expect(id).toBe(1);
    expect(logprob).toBeCloseTo(logSoftmax(Float64Array.from(logits))[1] as number, 12);
  });

  test('beams: processors act on the log softmax', () => {
    const logits = [2, 1, -1];
    const p = logSoftmax(Float64Array.from(logits));
    const { top } = choose(logits, { mode: sampleMode.beam, history: [0], repetitionPenalty: 2 }, 2);
    // Every log-probability is negative, so that a penalty always multiplies.
    const want = [(p[0] as number) * 2, p[1] as number];
    expect(top.scores).toEqual((want[0] as number) > (want[1] as number) ? want : want.reverse());
  });

  test('presence and frequency count generated ids alone', () => {
    const history = [0, 0, 1, 1, 2];
    const part = {
      history,
      promptLength: 2,
      mode: sampleMode.beam,
      presencePenalty: 0.5,
      frequencyPenalty: 0.25,
    };
    const p = logSoftmax(new Float64Array(4));
    const { top } = choose([0, 0, 0, 0], part, 4);
    expect(top.ids).toEqual([0, 3, 2, 1]);
    expect(top.scores).toEqual([p[0], p[3], (p[2] as number) - 0.75, (p[1] as number) - 1]);
  });

  test('frequencies of draws are the probabilities', () => {
    const logits = [0, 1, 2, -1];
    const want = logSoftmax(Float64Array.from(logits)).map(Math.exp);
    const counts = [0, 0, 0, 0];
    const n = 20_000;
    for (let position = 0; position < n; position++) {
      counts[choose(logits, { mode: sampleMode.sample, position, seed: [3, 9] }).id]!++;
    }
    counts.forEach((c, id) => {
      const p = want[id] as number;
      expect(Math.abs(c / n - p)).toBeLessThan(4 * Math.sqrt((p * (1 - p)) / n));
    });
  });

  test('nothing finite, NaN and infinity', () => {
    const { NaN: nan, NEGATIVE_INFINITY: low, POSITIVE_INFINITY: high } = Number;
    for (const mode of Object.values(sampleMode)) {
      expect(choose([nan, nan], { mode })).toMatchObject({ id: -1, logprob: low });
      expect(choose([nan, low, low], { mode })).toMatchObject({ id: 1, logprob: low });
      expect(choose([nan, 3, low], { mode })).toMatchObject({ id: 1, logprob: 0 });
      expect(choose([3, high, low], { mode })).toMatchObject({ id: 1, logprob: 0 });
      expect(choose([1, 3, 2], { mode, suppressed: [0, 1, 2] }).id).toBe(1);
    }
  });

  test('rows survive packing', () => {
    const full = row({
      mode: sampleMode.sample,
      temperature: 0.5,
      topK: 7,
      seed: [-5, 6],
      history: [1, 2, 3],
      promptLength: 2,
      badWords: [[1], [2, 3]],
      suppressed: [4],
      forced: [5, 6],
      encoder: [8],
      allowed: [-1, 3],
    });
    const { rowFloats, rowInts, lists } = packRows([greedyRow, full]);
    const back = unpackRow(
      rowFloats.subarray(floatColumns),
      rowInts.subarray(intColumns),
      Float64Array.from(lists),
      40,
    );
    const plain = JSON.parse(
      JSON.stringify(back, (_, v: unknown) => (ArrayBuffer.isView(v) ? Array.from(v as Float64Array) : v)),
    );
    expect(plain).toEqual(full);
  });

  test('the columns in native/sampler.h are those of row.ts', () => {
    const header = readFileSync(new URL('../../native/sampler.h', import.meta.url), 'utf8');
    const columns = [...header.matchAll(/^ {2}k(\w+) = (\d+),$/gm)].map(([, name = '', at]) => [
      name[0]?.toLowerCase() + name.slice(1),
      Number(at),
    ]);
    expect(Object.fromEntries(columns)).toEqual({
      ...floatColumn,
      ...intColumn,
      sampleFloats: floatColumns,
      sampleInts: intColumns,
    });
  });
});

describe('samples', () => {
  test.each(samples.map((s) => [s.name, s] as const))('%s', (_, s) => {
    const { ids, top_ids, top_logprobs } = runSample(s) as Record<string, RefTensor>;
    const vocabulary = s.dims.V as number;
    ids?.data.forEach((id) => {
      expect(Number.isInteger(id) && id >= -1 && id < vocabulary).toBe(true);
    });
    expect(top_ids?.shape).toEqual([s.dims.R, s.dims.K]);
    expect(top_logprobs?.data.some(Number.isNaN)).toBe(false);
  });

  test('logits of the samples are f32 numbers', () => {
    const x = logitsOf(100, 5);
    expect(Array.from(Float32Array.from(x))).toEqual(x);
  });
});
