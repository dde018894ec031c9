import '../../lib/ops/sample.js';
import { packRows } from '../../lib/ops/sampling/pack_rows.js';
import {
  floatColumns,
  greedyRow,
  intColumns,
  type SampleRow,
  sampleMode,
} from '../../lib/ops/sampling/row.js';
import { generator } from '../random.js';
import type { Sample } from './suite.js';

/** Logits like a model's: a bell, some far above it, and, with `step`, equal ones. */
export function logitsOf(count: number, seed: number, step = 0): number[] {
  const next = generator(seed);
  return Array.from({ length: count }, () => {
    const bell = (next() + next() + next() + next() - 2) * 4 + (next() < 0.02 ? 5 : 0);
    return Math.fround(step > 0 ? Math.round(bell / step) * step : bell);
  });
}

type RowOptions = Partial<SampleRow>;

/** A sample of the op over rows, each of its own options. */
export function sampleOf(
  name: string,
  vocabulary: number,
  k: number,
  options: readonly RowOptions[],
  logits: number[],
): Sample {
  const rows = options.map((row): SampleRow => ({ ...greedyRow, ...row }));
  const { rowFloats, rowInts, lists } = packRows(rows);
  const r = rows.length;
  return {
    name,
    inputs: {
      logits: { dtype: 'f32', shape: ['R', vocabulary], data: logits },
      row_floats: { dtype: 'f32', shape: ['R', floatColumns], data: Array.from(rowFloats) },
      row_ints: { dtype: 'i32', shape: ['R', intColumns], data: Array.from(rowInts) },
      lists: { dtype: 'i32', shape: ['L'], data: Array.from(lists) },
    },
    attrs: { k: 'K' },
    dims: { R: r, V: vocabulary, K: k, L: lists.length },
  };
}

const { sample, beam } = sampleMode;
const history = [3, 7, 1, 3, 7, 2, 9, 3, 7];
const penalties: RowOptions = {
  history,
  promptLength: 4,
  repetitionPenalty: 1.3,
  presencePenalty: 0.5,
  frequencyPenalty: 0.25,
};
const bans: RowOptions = {
  history,
  promptLength: 4,
  noRepeatNgramSize: 3,
  encoderNoRepeatNgramSize: 2,
  encoder: [7, 4, 3, 7, 5],
  badWords: [[6], [7, 8], [9, 3, 7, 0], [2, 2]],
  suppressed: [10, 11, 4000],
};
/** Draws from the same logits: enough to see what is kept. */
const drawn = 40;
const draws = (row: RowOptions, count: number): RowOptions[] =>
  Array.from({ length: count }, (_, i) => ({
    mode: sample,
    seed: [17, 4],
    position: i,
    returnIndex: i % 3,
    ...row,
  }));
const many = (name: string, vocabulary: number, row: RowOptions, seed: number, step = 0): Sample =>
  sampleOf(
    name,
    vocabulary,
    0,
    draws(row, drawn),
    Array<number[]>(drawn)
      .fill(logitsOf(vocabulary, seed, step))
      .flat(),
  );

const none = Number.NEGATIVE_INFINITY;
const nan = Number.NaN;
const odd = [nan, nan, nan, none, none, none, nan, 2, 5, none, none, Number.POSITIVE_INFINITY];

export const samples: readonly Sample[] = [
  sampleOf('greedy', 37, 0, [{}, {}, {}], logitsOf(3 * 37, 1)),
  sampleOf('greedy with the best', 37, 5, [{}, {}, {}], logitsOf(3 * 37, 2, 0.5)),
  sampleOf('more of the best than there are', 3, 5, [{}, { mode: beam }], [1, 3, 3, none, 0, none]),
  sampleOf('one id', 1, 1, [{}, { mode: sample }, { mode: beam }], [0.5, -2, 7]),
  sampleOf('no rows', 5, 2, [], []),
  sampleOf('penalties', 40, 40, [penalties, { ...penalties, mode: beam }], logitsOf(80, 3)),
  sampleOf(
    'a word longer than the history',
    6,
    6,
    [{ mode: beam, history: [3], badWords: [[3, 5], [4]] }],
    logitsOf(6, 23),
  ),
  sampleOf('bans', 40, 40, [bans, { ...bans, mode: beam }, { ...bans, mode: sample }], logitsOf(120, 4)),
  sampleOf(
    'bans of ids without history',
    12,
    2,
    [{ noRepeatNgramSize: 2, badWords: [[1], [2, 3]] }],
    logitsOf(12, 5),
  ),
  sampleOf('unigrams once', 12, 2, [{ noRepeatNgramSize: 1, history }], logitsOf(12, 6)),
  sampleOf(
    'forced',
    20,
    3,
    [{ forced: [6] }, { forced: [6], suppressed: [6] }, { forced: [4, 2], mode: beam }],
    logitsOf(60, 7),
  ),
  sampleOf(
    'allowed by a mask',
    40,
    3,
    [{ allowed: [0x00f00000, 1] }, { allowed: [-(2 ** 31), 0], mode: beam }],
    logitsOf(80, 8),
  ),
  sampleOf(
    'nothing finite left',
    3,
    2,
    [{ mode: sample, suppressed: [0, 1, 2] }, { allowed: [0] }],
    [1, 4, 2, 1, nan, 2],
  ),
  sampleOf('NaN and infinity', 3, 3, [{}, {}, {}, {}], odd),
  sampleOf('NaN and infinity, drawn', 3, 3, draws({}, 4), odd),
  sampleOf(
    'NaN and infinity, beams',
    3,
    3,
    Array.from({ length: 4 }, () => ({ mode: beam })),
    odd,
  ),
  many('draw', 90, {}, 9),
  many('draw, sharp', 90, { temperature: 0.3 }, 10),
  many('draw, flat', 90, { temperature: 3 }, 11),
  many('top k', 90, { topK: 20 }, 12),
  many('top k of equals', 90, { topK: 20, temperature: 0.7 }, 13, 1),
  many('top k of more than there are', 30, { topK: 50 }, 14),
  many('top p', 90, { topP: 0.9 }, 15),
  many('top p of equals', 90, { topP: 0.5 }, 16, 1),
  sampleOf('top p of nothing but equals', 8, 0, draws({ topP: 0.5 }, 40), Array<number>(320).fill(1)),
  many('top p of almost nothing', 90, { topP: 1e-6 }, 17),
  many('top p of almost all', 90, { topP: 0.9999999 }, 18),
  many('min p', 90, { minP: 0.05 }, 19),
  many('typical', 90, { typicalP: 0.6 }, 20),
  many('typical of equals', 90, { typicalP: 0.3 }, 21, 1),
  many(
    'all at once',
    501,
    { ...penalties, ...bans, temperature: 0.8, topK: 90, topP: 0.95, minP: 0.01, typicalP: 0.9 },
    22,
  ),
];
