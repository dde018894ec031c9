import { InvalidArgumentError } from '../errors.js';

export interface BeamOptions {
  readonly numBeams: number;
  readonly numReturnSequences: number;
  readonly lengthPenalty: number;
  readonly earlyStopping: boolean | 'never';
  readonly eosTokenIds: readonly number[];
  /** Greatest number of new tokens: what 'never' measures against. */
  readonly maxNewTokens: number;
}

/** A next token of one beam, and its processed log-probability. An id of −1 is none. */
export interface BeamCandidate {
  readonly id: number;
  readonly score: number;
}

/** What the beams become: beam i continues beam parents[i] by tokens[i]. */
export interface BeamStep {
  readonly parents: readonly number[];
  readonly tokens: readonly number[];
  /** Nothing better can come: do not run another step. */
  readonly done: boolean;
}

export interface BeamHypothesis {
  /** New tokens, the eos included. */
  readonly tokens: readonly number[];
  /** Sum of log-probabilities / number of new tokens to the power of the length penalty. */
  readonly score: number;
  readonly finishReason: 'eos' | 'length';
}

interface Beam {
  readonly tokens: readonly number[];
  readonly sum: number;
}

/** A score that keeps the copies of the prompt out of the first step, unless there is nothing else. */
const never = -1e9;

/** How many of the best candidates each beam has to offer, so that enough are left when some are eos. */
export const candidatesPerBeam = (numBeams: number, eosCount: number): number =>
  Math.max(2, 1 + eosCount) * numBeams;

/**
 * Beam search over one prompt: which beams to go on with, and which finished sequences to keep. Hugging Face transformers
 * v4.44 (BeamSearchScorer, one group): lengths are of new tokens, an eos counted, and only an eos among the numBeams best
 * candidates ends a sequence.
 */
export class BeamSearch {
  readonly #options: BeamOptions;
  #beams: readonly Beam[];
  /** The numBeams best finished sequences, in the order in which they came. */
  #finished: BeamHypothesis[] = [];
  #done = false;

  constructor(options: BeamOptions) {
    this.#options = options;
    this.#beams = Array.from({ length: options.numBeams }, (_, i) => ({
      tokens: [],
      sum: i === 0 ? 0 : never,
    }));
  }

  get done(): boolean {
    return this.#done;
  }

  /** New tokens of each beam. */
  get beams(): readonly (readonly number[])[] {
    return this.#beams.map(({ tokens }) => tokens);
  }

  /**
   * Takes the best candidates of each beam, {@link candidatesPerBeam} or all there are, and chooses the next beams. At the
   * first step, where all beams are the prompt, one list serves all.
   */
  step(candidates: readonly (readonly BeamCandidate[])[]): BeamStep {
    const { numBeams, eosTokenIds } = this.#options;
    const ranked = this.#rank(candidates);
    const next: { beam: Beam; parent: number; token: number }[] = [];
    for (const [place, { parent, id, sum }] of ranked.entries()) {
      const tokens = [...(this.#beams[parent] as Beam).tokens, id];
      if (!eosTokenIds.includes(id)) next.push({ beam: { tokens, sum }, parent, token: id });
      else if (place < numBeams) this.#finish(tokens, sum, 'eos');
      if (next.length === numBeams) break;
    }
    if (next.length < numBeams) {
      throw new InvalidArgumentError(
        `beam search: expected ${numBeams} tokens to go on with, got ${next.length}; numBeams is too great for this vocabulary`,
      );
    }
    this.#beams = next.map(({ beam }) => beam);
    const length = (this.#beams[0] as Beam).tokens.length;
    this.#done ||= this.#isDone(ranked[0]?.sum ?? never, length);
    return {
      parents: next.map(({ parent }) => parent),
      tokens: next.map(({ token }) => token),
      done: this.#done,
    };
  }

  /** The best sequences, best first; those still open are ended where they are. */
  finalize(): BeamHypothesis[] {
    if (!this.#done) {
      for (const { tokens, sum } of this.#beams) if (tokens.length > 0) this.#finish(tokens, sum, 'length');
      this.#done = true;
    }
    // Of equal scores the later comes first.
    const best = this.#finished.map((hypothesis, order) => ({ hypothesis, order }));
    best.sort((a, b) => b.hypothesis.score - a.hypothesis.score || b.order - a.order);
    return best.slice(0, this.#options.numReturnSequences).map(({ hypothesis }) => hypothesis);
  }

  /** The best continuations of all beams; of equals the earlier beam, then the earlier candidate. */
  #rank(candidates: readonly (readonly BeamCandidate[])[]): { parent: number; id: number; sum: number }[] {
    const { numBeams, eosTokenIds } = this.#options;
    const shared = candidates.length === 1 && this.#beams.every(({ tokens }) => tokens.length === 0);
    if (!shared && candidates.length !== numBeams) {
      throw new InvalidArgumentError(
        `beam search: expected candidates of ${numBeams} beams, got ${candidates.length}`,
      );
    }
    const all = this.#beams.flatMap(({ sum }, parent) =>
      (candidates[shared ? 0 : parent] ?? [])
        .filter(({ id }) => id >= 0)
        .map(({ id, score }) => ({ parent, id, sum: sum + score })),
    );
    all.sort((a, b) => (a.sum === b.sum ? 0 : b.sum - a.sum));
    return all.slice(0, candidatesPerBeam(numBeams, eosTokenIds.length));
  }

  #scoreOf(sum: number, length: number): number {
    return sum / length ** this.#options.lengthPenalty;
  }

  #worst(): number {
    return this.#finished.reduce((worst, { score }) => Math.min(worst, score), Number.POSITIVE_INFINITY);
  }

  #finish(tokens: readonly number[], sum: number, finishReason: BeamHypothesis['finishReason']): void {
    const score = this.#scoreOf(sum, tokens.length);
    const full = this.#finished.length >= this.#options.numBeams;
    if (full) {
      const worst = this.#worst();
      if (!(score > worst)) return;
      this.#finished.splice(
        this.#finished.findIndex((h) => h.score === worst),
        1,
      );
    }
    this.#finished.push({ tokens, score, finishReason });
  }

  /** Whether no open beam can beat the worst of the finished, by the rule that earlyStopping names. */
  #isDone(bestSum: number, length: number): boolean {
    const { numBeams, earlyStopping, lengthPenalty, maxNewTokens } = this.#options;
    if (this.#finished.length < numBeams) return false;
    if (earlyStopping === true) return true;
    const reach = earlyStopping === 'never' && lengthPenalty > 0 ? maxNewTokens : length;
    return this.#worst() >= this.#scoreOf(bestSum, reach);
  }
}
