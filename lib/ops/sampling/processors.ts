import type { Ids, SampleRow } from './row.js';

// Logits processors: each changes the scores of one row in place. Ids outside the vocabulary are left out of account.
// Meaning and order are those of Hugging Face transformers v4.44, generation/logits_process.py.

const each = (ids: Ids, use: (id: number) => void): void => {
  for (let i = 0; i < ids.length; i++) use(ids[i] as number);
};

const ban = (scores: Float64Array, id: number): void => {
  if (id >= 0 && id < scores.length) scores[id] = Number.NEGATIVE_INFINITY;
};

/** s · penalty where s < 0, else s / penalty, for every id that occurs, once. Keskar et al. 2019 (CTRL). */
function penalizeRepetition(scores: Float64Array, history: Ids, penalty: number): void {
  for (const id of new Set(Array.from(history))) {
    const s = scores[id];
    if (s !== undefined) scores[id] = s < 0 ? s * penalty : s / penalty;
  }
}

/** s − (presence + frequency · n) for every id that was generated n > 0 times: OpenAI's penalties. */
function penalizeCounts(scores: Float64Array, generated: Ids, presence: number, frequency: number): void {
  const counts = new Map<number, number>();
  each(generated, (id) => counts.set(id, (counts.get(id) ?? 0) + 1));
  for (const [id, n] of counts) {
    const s = scores[id];
    if (s !== undefined) scores[id] = s - (presence + frequency * n);
  }
}

/** Whether the `n` ids of `a` that begin at `from` are the last `n` of `b`. */
function endsWith(b: Ids, a: Ids, from: number, n: number): boolean {
  for (let i = 0; i < n; i++) if (a[from + i] !== b[b.length - n + i]) return false;
  return true;
}

/** Bans every id that would end an n-gram of `source` after the last ids of `history`. */
function banRepeatedNgrams(scores: Float64Array, source: Ids, history: Ids, n: number): void {
  if (history.length + 1 < n) return;
  for (let i = 0; i + n <= source.length; i++) {
    if (endsWith(history, source, i, n - 1)) ban(scores, source[i + n - 1] as number);
  }
}

/** Bans the last id of a word whose other ids end the history. A word longer than the history is passed over, as in v4.44. */
function banWords(scores: Float64Array, words: readonly Ids[], history: Ids): void {
  for (const word of words) {
    const last = word.length - 1;
    if (last > 0 && word.length > history.length) continue;
    if (endsWith(history, word, 0, last)) ban(scores, word[last] as number);
  }
}

/** Leaves the forced ids alone, all with score 0. */
function force(scores: Float64Array, ids: Ids): void {
  scores.fill(Number.NEGATIVE_INFINITY);
  each(ids, (id) => {
    if (id >= 0 && id < scores.length) scores[id] = 0;
  });
}

/** Bans the ids whose bit is 0. */
function allowOnly(scores: Float64Array, mask: Ids): void {
  for (let id = 0; id < scores.length; id++) {
    if ((((mask[id >> 5] as number) >> (id & 31)) & 1) === 0) ban(scores, id);
  }
}

/** All processors of a row, in order. A grammar's mask comes last, so that nothing undoes it. NaN becomes −∞. */
export function processScores(scores: Float64Array, row: SampleRow): void {
  const { history } = row;
  for (let i = 0; i < scores.length; i++) if (Number.isNaN(scores[i])) scores[i] = Number.NEGATIVE_INFINITY;
  if (row.repetitionPenalty !== 1) penalizeRepetition(scores, history, row.repetitionPenalty);
  if (row.presencePenalty !== 0 || row.frequencyPenalty !== 0) {
    const generated = Array.from(history).slice(row.promptLength);
    penalizeCounts(scores, generated, row.presencePenalty, row.frequencyPenalty);
  }
  if (row.noRepeatNgramSize > 0) banRepeatedNgrams(scores, history, history, row.noRepeatNgramSize);
  if (row.encoderNoRepeatNgramSize > 0) {
    banRepeatedNgrams(scores, row.encoder, history, row.encoderNoRepeatNgramSize);
  }
  banWords(scores, row.badWords, history);
  if (row.forced.length > 0) force(scores, row.forced);
  each(row.suppressed, (id) => ban(scores, id));
  if (row.allowed) allowOnly(scores, row.allowed);
}
