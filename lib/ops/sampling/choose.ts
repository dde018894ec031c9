import { uniform } from './philox.js';
import { processScores } from './processors.js';
import { type SampleRow, sampleMode } from './row.js';
import { warpScores, weightsOf } from './warpers.js';

/** Ids with their scores, best first; of equals the smaller id. −1 and −∞ where there are no more. */
export interface Ranking {
  readonly ids: readonly number[];
  readonly scores: readonly number[];
}

/** What {@link chooseToken} says of one row. */
export interface Choice {
  /** −1: every logit is NaN. */
  readonly id: number;
  /** Log-probability of `id` under the raw logits. */
  readonly logprob: number;
  readonly top: Ranking;
}

/** Index of the first greatest element; NaN never wins; −1 if all are NaN. */
function argmax(scores: Float64Array): number {
  let best = -1;
  scores.forEach((s, id) => {
    if (!Number.isNaN(s) && (best < 0 || s > (scores[best] as number))) best = id;
  });
  return best;
}

/** log softmax. NaN counts as −∞; where the greatest is infinite: shared among those, or −∞ for all if it is −∞. */
export function logSoftmax(logits: Float64Array): Float64Array {
  const none = Number.NEGATIVE_INFINITY;
  const max = logits[argmax(logits)] ?? none;
  if (max === none) return new Float64Array(logits.length).fill(none);
  const below = logits.map((x) => (x === max ? 0 : Number.isNaN(x) ? none : x - max));
  const logSum = Math.log(below.reduce((sum, d) => sum + Math.exp(d), 0));
  return below.map((d) => d - logSum);
}

function rank(scores: Float64Array, count: number): Ranking {
  if (count === 0) return { ids: [], scores: [] };
  const order = Array.from(scores.keys()).sort((a, b) => {
    const [sa, sb] = [scores[a] as number, scores[b] as number];
    return sa === sb ? a - b : sb - sa;
  });
  const ids = Array.from({ length: count }, (_, i) => order[i] ?? -1);
  return { ids, scores: ids.map((id) => scores[id] ?? Number.NEGATIVE_INFINITY) };
}

/** Inverse CDF in ascending order of ids. */
function draw(scores: Float64Array, u: number): number {
  const weights = weightsOf(scores);
  const target = u * weights.reduce((sum, w) => sum + w, 0);
  let sum = 0;
  let last = -1;
  for (let id = 0; id < weights.length; id++) {
    const w = weights[id] as number;
    if (w === 0) continue;
    sum += w;
    last = id;
    if (sum > target) break;
  }
  return last;
}

/**
 * One token of one row: processors, then the greatest score (greedy), or warpers and a draw (sample), or, over the log softmax,
 * the `count` best processed scores (beam). If no score is left above −∞, the greatest logit is taken.
 */
export function chooseToken(logits: Float64Array, row: SampleRow, count: number): Choice {
  const none = Number.NEGATIVE_INFINITY;
  const logprobs = logSoftmax(logits);
  const fallback = argmax(logits);
  const scores = row.mode === sampleMode.beam ? logprobs.slice() : logits.slice();
  processScores(scores, row);
  const top = rank(row.mode === sampleMode.beam ? scores : logprobs, count);
  let id = argmax(scores);
  if (id < 0 || scores[id] === none) id = fallback;
  else if (row.mode === sampleMode.sample) {
    warpScores(scores, row);
    id = draw(scores, uniform(row.seed, row.returnIndex, row.position));
  }
  return { id, logprob: logprobs[id] ?? none, top };
}
