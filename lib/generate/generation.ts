import type { SampleRow } from '../ops/sampling/row.js';
import type { KvPool } from './kv_pool.js';
import type { SequenceOutcome } from './result.js';
import type { Sequence } from './sequence.js';

/** What the sampler chose for one sequence. */
export interface RowChoice {
  readonly id: number;
  readonly logprob: number;
  /** The best tokens, as many as the generation asked for. */
  readonly topIds: Int32Array;
  readonly topLogprobs: Float32Array;
}

/** A block that must be copied before the next step: a sequence goes on where others still read. */
export interface BlockCopy {
  readonly from: number;
  readonly to: number;
}

/** One request as the scheduler runs it: sequences that want tokens, and what to do with the tokens. */
export interface Generation {
  /** Blocks that it may come to need, shared ones included. */
  readonly maxBlocks: number;
  /** How many best tokens it wants for each row. */
  readonly candidates: number;
  /** What its sequences read of, if the model has an encoder, which runs first. */
  readonly source: Sequence | undefined;
  /** Sequences that want to be computed. Empty: it has ended. */
  readonly sequences: readonly Sequence[];
  /** Takes its first sequences from the pool. */
  start(pool: KvPool): void;
  /** Ids that end one of its sequences. */
  readonly stopIds: readonly number[];
  /**
   * How many tokens of a sequence may be chosen in a row by rows that differ in their counters only; 1 where each token has to be
   * seen before the next.
   */
  steadySteps(sequence: Sequence): number;
  /** What the sampler needs to know to choose the next token of one of its sequences. */
  row(sequence: Sequence): SampleRow;
  /**
   * Takes the choices for those of its sequences that were computed to their end; all of them, or none. What it takes from the pool, it
   * takes before it first waits.
   */
  advance(choices: ReadonlyMap<Sequence, RowChoice>): readonly BlockCopy[] | Promise<readonly BlockCopy[]>;
  /** Gives its blocks back. */
  release(): void;
}

/** How a generation that ended reports. */
export interface GenerationOutcome {
  readonly sequences: readonly SequenceOutcome[];
  readonly cachedTokens: number;
}
