import { describe, expect, test } from 'vitest';
import {
  type BeamHypothesis,
  type BeamOptions,
  BeamSearch,
  candidatesPerBeam,
} from '../../lib/generate/beam_search.js';

/** A toy language: log-probabilities of the next of V tokens after some tokens, by hashing them. */
type Language = (tokens: readonly number[]) => number[];

function language(vocabulary: number, salt: number): Language {
  return (tokens) => {
    let h = salt;
    for (const t of tokens) h = Math.imul(h ^ (t + 1), 0x9e3779b1) >>> 0;
    const logits = Array.from({ length: vocabulary }, (_, i) => {
      const x = Math.imul((h ^ Math.imul(i + 1, 0x85ebca6b)) >>> 0, 0xc2b2ae35) >>> 0;
      return (x / 2 ** 32) * 3;
    });
    const sum = logits.reduce((s, x) => s + Math.exp(x), 0);
    return logits.map((x) => x - Math.log(sum));
  };
}

function search(next: Language, options: BeamOptions): BeamHypothesis[] {
  const beams = new BeamSearch(options);
  const count = candidatesPerBeam(options.numBeams, options.eosTokenIds.length);
  for (let n = 0; n < options.maxNewTokens && !beams.done; n++) {
    beams.step(
      beams.beams.map((tokens) =>
        next(tokens)
          .map((score, id) => ({ id, score }))
          .sort((a, b) => b.score - a.score)
          .slice(0, count),
      ),
    );
  }
  return beams.finalize();
}

/** Every sequence: those that end in eos, and those of the greatest length, by score. */
function allSequences(
  next: Language,
  { eosTokenIds, maxNewTokens, lengthPenalty }: BeamOptions,
): BeamHypothesis[] {
  const found: BeamHypothesis[] = [];
  const walk = (tokens: number[], sum: number): void => {
    const ended = eosTokenIds.includes(tokens.at(-1) ?? -1);
    if (ended || tokens.length === maxNewTokens) {
      found.push({
        tokens,
        score: sum / tokens.length ** lengthPenalty,
        finishReason: ended ? 'eos' : 'length',
      });
      return;
    }
    next(tokens).forEach((p, id) => {
      walk([...tokens, id], sum + p);
    });
  };
  walk([], 0);
  return found.sort((a, b) => b.score - a.score);
}

const base: BeamOptions = {
  numBeams: 2,
  numReturnSequences: 2,
  lengthPenalty: 1,
  earlyStopping: false,
  eosTokenIds: [0],
  maxNewTokens: 4,
};

describe('beam search', () => {
  test.each([1, 2, 3, 4, 5])('as wide as the language it finds the best sequences (%i)', (salt) => {
    const next = language(4, salt);
    // 3 ids that are no eos: 3³ beams hold every open sequence of 3 tokens.
    const options: BeamOptions = { ...base, numBeams: 27, numReturnSequences: 5, earlyStopping: 'never' };
    const got = search(next, options);
    const want = allSequences(next, options).slice(0, 5);
    expect(got.map(({ tokens }) => tokens)).toEqual(want.map(({ tokens }) => tokens));
    got.forEach(({ score, finishReason }, i) => {
      expect(score).toBeCloseTo(want[i]?.score ?? Number.NaN, 10);
      expect(finishReason).toBe(want[i]?.finishReason);
    });
  });

  test('two beams by hand: an eos among the best two ends a sequence, the beams go on without it', () => {
    const beams = new BeamSearch(base);
    const first = beams.step([
      [
        { id: 5, score: -0.5 },
        { id: 0, score: -1 },
        { id: 6, score: -2 },
        { id: 7, score: -3 },
      ],
    ]);
    expect(first).toEqual({ parents: [0, 0], tokens: [5, 6], done: false });
    const second = beams.step([
      [
        { id: 0, score: -0.25 },
        { id: 8, score: -2 },
        { id: 9, score: -4 },
        { id: 3, score: -5 },
      ],
      [
        { id: 8, score: -0.4 },
        { id: 0, score: -0.6 },
        { id: 9, score: -3 },
        { id: 3, score: -4 },
      ],
    ]);
    // -0.75 [5, eos]; -2.4 [6, 8]; -2.5 [5, 8]: the eos after 6 (-2.6) is not among the best two.
    expect(second.parents).toEqual([1, 0]);
    expect(second.tokens).toEqual([8, 8]);
    // worst finished is [eos] with -1; the best sum, -0.75, over 2 tokens could still be better.
    expect(second.done).toBe(false);
    expect(beams.finalize()).toEqual([
      { tokens: [5, 0], score: -0.375, finishReason: 'eos' },
      { tokens: [0], score: -1, finishReason: 'eos' },
    ]);
  });

  test('early stopping ends with as many finished sequences as beams', () => {
    const eosFirst = [
      { id: 0, score: -0.1 },
      { id: 1, score: -0.2 },
      { id: 2, score: -0.3 },
      { id: 3, score: -0.4 },
    ];
    const run = (earlyStopping: boolean | 'never'): boolean[] => {
      const beams = new BeamSearch({ ...base, earlyStopping, lengthPenalty: 2, maxNewTokens: 9 });
      return [beams.step([eosFirst]).done, beams.step([eosFirst, eosFirst]).done];
    };
    expect(run(true)).toEqual([false, true]);
    expect(run(false)).toEqual([false, false]);
    expect(run('never')).toEqual([false, false]);
  });

  test('several eos ids, and the later of equal scores first', () => {
    const beams = new BeamSearch({ ...base, eosTokenIds: [0, 9], lengthPenalty: 0 });
    const step = beams.step([[9, 0, 1, 2, 3, 4].map((id) => ({ id, score: -1 }))]);
    expect(step.tokens).toEqual([1, 2]);
    expect(beams.finalize().map(({ tokens }) => tokens)).toEqual([[0], [9]]);
    expect(candidatesPerBeam(2, 2)).toBe(6);
    expect(candidatesPerBeam(4, 0)).toBe(8);
  });

  test('too few tokens to go on with', () => {
    const beams = new BeamSearch({ ...base, numBeams: 3, numReturnSequences: 1 });
    expect(() => beams.step([[{ id: 0, score: -1 }]])).toThrow(/expected 3 tokens to go on with, got 0/);
    expect(() => beams.step([[], []])).toThrow(/expected candidates of 3 beams, got 2/);
  });
});
