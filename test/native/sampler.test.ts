import { describe, expect, test } from 'vitest';
import { floatColumn, greedyRow, intColumn, type SampleRow, sampleMode } from '../../lib/ops/sampling/row.js';
import { generator } from '../random.js';
import { cpuPlaces, differences, type Place, programOf, reference, run } from '../replay.js';
import { logitsOf, sampleOf, samples } from '../suites/sample.js';
import type { Sample } from '../suites/suite.js';

// The addon's sampler against the reference. test/ops replays the suite's samples too; here the sanitizers see them.

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

const known = new Map<Sample, ReturnType<typeof run>>();

/** What is wrong with the outputs of an instruction set, by case. */
async function replay(cases: readonly Sample[], place: Place): Promise<string[]> {
  const failures: string[] = [];
  for (const s of cases) {
    const want = known.get(s) ?? run(programOf('sample', s), reference);
    known.set(s, want);
    const got = await run(programOf('sample', s), place);
    failures.push(...differences(got, await want, 1e-5).map((what) => `${s.name}: ${what}`));
  }
  return failures;
}

const next = generator(77);
const random = Array.from({ length: 400 }, (_, i) => {
  const vocabulary = 1 + Math.floor(next() ** 3 * 900);
  const rows = Array.from({ length: 3 }, () => anyRow(next, vocabulary));
  const k = Math.floor(next() * 6);
  return sampleOf(`any ${i}`, vocabulary, k, rows, logitsOf(3 * vocabulary, i, i % 3 === 0 ? 0.5 : 0));
});

const warped = [{ topP: 0.95 }, { topK: 300, topP: 0.7 }, { typicalP: 0.5 }, { temperature: 0.1 }];
const large = sampleOf(
  'large',
  20_000,
  50,
  warped.map((row, position) => ({ mode: sampleMode.sample, seed: [1, 2], position, ...row })),
  logitsOf(4 * 20_000, 3),
);

describe.each(cpuPlaces)('$name', (place) => {
  test('the samples of the suite', async () => {
    expect(await replay(samples, place)).toEqual([]);
  });
  test('any rows choose the same ids', async () => {
    expect(await replay(random, place)).toEqual([]);
  });
  test('a large vocabulary', async () => {
    expect(await replay([large], place)).toEqual([]);
  });
});

describe('numbers of a row that would lead out of its memory', () => {
  type Change = Partial<Record<keyof typeof intColumn | keyof typeof floatColumn, number>>;

  /** Runs a greedy row over 4 ids with some of its numbers changed, beside lists that hold two words and an id. */
  function runChanged(change: Change, first = 2): ReturnType<typeof run> {
    const plain = sampleOf('changed', 4, 0, [greedyRow], [0, 1, 0, 0]);
    const { row_floats, row_ints, ...rest } = plain.inputs;
    const floats = [...(row_floats?.data ?? [])];
    const ints = [...(row_ints?.data ?? [])];
    for (const [name, value] of Object.entries(change)) {
      if (name in intColumn) ints[intColumn[name as keyof typeof intColumn]] = value;
      else floats[floatColumn[name as keyof typeof floatColumn]] = value;
    }
    const lists = { dtype: 'i32', shape: ['L'], data: [first, 1, 3, 1, 2, 0] } as const;
    const inputs = {
      ...rest,
      row_floats: { ...row_floats, data: floats },
      row_ints: { ...row_ints, data: ints },
      lists,
    };
    const changed = { ...plain, inputs, dims: { ...plain.dims, L: lists.data.length } } as Sample;
    return run(programOf('sample', changed), cpuPlaces[0] as Place);
  }

  test.each<[string, Change]>([
    ['none changed', {}],
    ['two words', { badWordsEnd: 5 }],
    ['a mask at the end', { allowedBegin: 5 }],
  ])('%s: accepted', async (_, change) => {
    const { ids } = await runChanged(change);
    expect(ids?.data[0]).toBeGreaterThanOrEqual(0);
  });

  const begins = ['historyBegin', 'encoderBegin', 'badWordsBegin', 'suppressedBegin', 'forcedBegin'] as const;
  const ends = ['historyEnd', 'encoderEnd', 'badWordsEnd', 'suppressedEnd', 'forcedEnd'] as const;
  test.each<[string, RegExp, Change, number?]>([
    ['a word cut short', /bad words/, { badWordsEnd: 4 }],
    ['an empty word', /bad words/, { badWordsEnd: 1 }, 0],
    ['a negative word', /bad words/, { badWordsEnd: 5 }, -2],
    ['a huge word', /bad words/, { badWordsEnd: 5 }, 2 ** 31 - 1],
    ['an unknown mode', /mode 0, 1 or 2/, { mode: 3 }],
    ['a negative topK', /topK/, { topK: -1 }],
    ['a prompt beyond the history', /promptLength/, { promptLength: 1 }],
    ['a mask beyond the lists', /mask/, { allowedBegin: 6 }],
    ['a mask before the lists', /mask/, { allowedBegin: -2 }],
    ...ends.map((end): [string, RegExp, Change] => [`${end} beyond the lists`, /ranges/, { [end]: 7 }]),
    ...begins.map((begin): [string, RegExp, Change] => [`${begin} after its end`, /ranges/, { [begin]: 1 }]),
    ...begins.map((begin): [string, RegExp, Change] => [`${begin} below 0`, /ranges/, { [begin]: -1 }]),
    ['temperature 0 of a draw', /temperature/, { temperature: 0, mode: sampleMode.sample }],
    ['a topP that is no number', /sample: /, { topP: Number.NaN }],
    ['a repetitionPenalty of 0', /repetitionPenalty/, { repetitionPenalty: 0 }],
  ])('%s: refused', async (_, message, change, first) => {
    await expect(runChanged(change, first)).rejects.toThrow(message);
  });
});
