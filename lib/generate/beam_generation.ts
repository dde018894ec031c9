import { ModelFormatError } from '../errors.js';
import type { SampleRow } from '../ops/sampling/row.js';
import { type BeamCandidate, BeamSearch, candidatesPerBeam } from './beam_search.js';
import type { BlockCopy, Generation, GenerationOutcome, RowChoice } from './generation.js';
import { blocksFor, type KvPool } from './kv_pool.js';
import type { ResolvedOptions } from './options.js';
import { sampleRow } from './sample_row.js';
import { Sequence } from './sequence.js';

export interface BeamGenerationOptions {
  readonly prompt: readonly number[];
  /** See {@link SampledGeneration}. */
  readonly source?: readonly number[] | undefined;
  readonly options: ResolvedOptions;
  /** See {@link Sequence}. */
  readonly root: string | undefined;
  readonly vocabSize: number;
}

/** Beam search: sequences of which each step drops some and goes on twice from others. Beams share the blocks that they agree on. */
export class BeamGeneration implements Generation {
  readonly maxBlocks: number;
  readonly candidates: number;
  readonly #prompt: readonly number[];
  readonly #sourceIds: readonly number[] | undefined;
  readonly #options: ResolvedOptions;
  readonly #root: string | undefined;
  readonly #search: BeamSearch;
  #beams: Sequence[] = [];
  #source: Sequence | undefined;
  #pool: KvPool | undefined;
  #cached = 0;

  constructor({ prompt, source, options, root, vocabSize }: BeamGenerationOptions) {
    this.#prompt = prompt;
    this.#sourceIds = source;
    this.#options = options;
    this.#root = root;
    this.#search = new BeamSearch(options);
    const blocks = blocksFor(prompt.length);
    // While beams change, each may hold a block that its successor copies from.
    const own = blocks + options.numBeams * (blocksFor(prompt.length + options.maxNewTokens) - blocks + 2);
    this.maxBlocks = own + blocksFor(source?.length ?? 0);
    this.candidates = Math.min(candidatesPerBeam(options.numBeams, options.eosTokenIds.length), vocabSize);
  }

  readonly stopIds: readonly number[] = [];

  /** Every step decides anew which beams there are. */
  steadySteps(): number {
    return 1;
  }

  get sequences(): readonly Sequence[] {
    return this.#beams;
  }

  get source(): Sequence | undefined {
    return this.#source;
  }

  get outcome(): GenerationOutcome {
    const sequences = this.#search.finalize().map(({ tokens, score, finishReason }) => ({
      tokens: [...tokens],
      score,
      finishReason,
      logprobs: [],
      silent: finishReason === 'eos' ? 1 : 0,
    }));
    return { sequences, cachedTokens: this.#cached };
  }

  start(pool: KvPool): void {
    this.#pool = pool;
    const ids = this.#sourceIds;
    this.#source = ids && new Sequence(pool, ids, ids.length);
    const prompt = new Sequence(pool, this.#prompt, this.#prompt.length, {
      root: this.#root,
      source: this.#source,
    });
    this.#cached = prompt.cached;
    this.#beams = [prompt];
  }

  row({ tokens, promptLength, returnIndex }: Sequence): SampleRow {
    const encoder = this.#sourceIds ?? this.#prompt;
    return sampleRow(this.#options, { history: tokens, promptLength, encoder, returnIndex });
  }

  advance(choices: ReadonlyMap<Sequence, RowChoice>): readonly BlockCopy[] {
    const step = this.#search.step(this.#beams.map((beam) => candidatesOf(choices.get(beam))));
    const parents = step.parents.map((i) => this.#beams[Math.min(i, this.#beams.length - 1)] as Sequence);
    const length = (parents[0] as Sequence).tokens.length + 1 - this.#prompt.length;
    if (step.done || length >= this.#options.maxNewTokens) {
      this.release();
      return [];
    }
    const copies: BlockCopy[] = [];
    const next = parents.map((parent, i) =>
      parent.fork(this.#pool as KvPool, step.tokens[i] as number, copies),
    );
    for (const beam of this.#beams) beam.giveBack();
    this.#beams = next;
    return copies;
  }

  release(): void {
    for (const beam of this.#beams) beam.release();
    this.#beams = [];
    this.#source?.release();
  }
}

function candidatesOf(choice: RowChoice | undefined): BeamCandidate[] {
  if (!choice || choice.id < 0)
    throw new ModelFormatError(
      'generate: the model computed NaN for every token; its weights or config.json are damaged',
    );
  return Array.from(choice.topIds, (id, i) => ({ id, score: choice.topLogprobs[i] as number }));
}
