import { exactExp } from './exact_exp.js';
import type { SampleRow } from './row.js';

// Warpers: each narrows what may be drawn, by scores of −∞ in place. Meaning and order are those of Hugging Face transformers
// v4.44; sums run in the orders said here, which native/sampler.cc keeps, so that both keep the same ids.

const kept = (scores: Float64Array): number[] => {
  const ids: number[] = [];
  scores.forEach((s, id) => {
    if (s > Number.NEGATIVE_INFINITY) ids.push(id);
  });
  return ids;
};

const drop = (scores: Float64Array, id: number): void => {
  scores[id] = Number.NEGATIVE_INFINITY;
};

/** x − max, 0 at the maximum even where that is infinite. */
const below = (x: number, max: number): number => (x === max ? 0 : x - max);

const greatest = (scores: Float64Array): number =>
  scores.reduce((m, s) => Math.max(m, s), Number.NEGATIVE_INFINITY);

/** exp(s − max) of each score: probabilities but for their sum. */
export function weightsOf(scores: Float64Array): Float64Array {
  const max = greatest(scores);
  return scores.map((s) => (s > Number.NEGATIVE_INFINITY ? exactExp(below(s, max)) : 0));
}

/** Keeps the k greatest, and all that equal the k-th. */
function keepTopK(scores: Float64Array, k: number): void {
  if (k >= scores.length) return;
  const limit = scores.slice().sort()[scores.length - k] as number;
  scores.forEach((s, id) => {
    if (s < limit) drop(scores, id);
  });
}

/** Keeps the most probable until they hold the mass p, at least one. Of equals the greater id goes first, as there. */
function keepTopP(scores: Float64Array, p: number): void {
  const weights = weightsOf(scores);
  const mass = p * weights.reduce((sum, w) => sum + w, 0);
  const order = kept(scores).sort((a, b) => (scores[b] as number) - (scores[a] as number) || b - a);
  let before = 0;
  order.forEach((id, rank) => {
    if (rank > 0 && before >= mass) drop(scores, id);
    else before += weights[id] as number;
  });
}

/** Keeps what is at least p times as probable as the most probable. */
function keepMinP(scores: Float64Array, p: number): void {
  weightsOf(scores).forEach((w, id) => {
    if (w < p) drop(scores, id);
  });
}

/** Keeps those whose information is nearest to the entropy, until they hold the mass p. Meister et al. 2022. */
function keepTypical(scores: Float64Array, p: number): void {
  const weights = weightsOf(scores);
  const max = greatest(scores);
  const ids = kept(scores);
  let sum = 0;
  let weighted = 0;
  for (const id of ids) {
    const w = weights[id] as number;
    sum += w;
    if (w > 0) weighted += w * below(scores[id] as number, max);
  }
  // |−log p − entropy|: the logarithm of the sum cancels.
  const mean = weighted / sum;
  const distance = scores.map((s) => Math.abs(mean - below(s, max)));
  ids.sort((a, b) => (distance[a] as number) - (distance[b] as number) || b - a);
  let limit = 0;
  let before = 0;
  for (const id of ids) {
    limit = distance[id] as number;
    before += weights[id] as number;
    if (before >= p * sum) break;
  }
  for (const id of ids) if ((distance[id] as number) > limit) drop(scores, id);
}

/** All warpers of a row, in order. */
export function warpScores(scores: Float64Array, row: SampleRow): void {
  if (row.temperature !== 1) scores.set(scores.map((s) => s / row.temperature));
  if (row.topK > 0) keepTopK(scores, row.topK);
  if (row.topP < 1) keepTopP(scores, row.topP);
  if (row.minP > 0) keepMinP(scores, row.minP);
  if (row.typicalP < 1) keepTypical(scores, row.typicalP);
}
