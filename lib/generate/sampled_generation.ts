import { ModelFormatError } from '../errors.js';
import type { SampleRow } from '../ops/sampling/row.js';
import type { Generation, GenerationOutcome, RowChoice } from './generation.js';
import { blocksFor, type KvPool } from './kv_pool.js';
import type { ResolvedOptions } from './options.js';
import type { FinishReason, SequenceOutcome, TokenLogprobs } from './result.js';
import { sampleRow, steadySteps } from './sample_row.js';
import { Sequence } from './sequence.js';
import type { StopWatch } from './stop_watch.js';

/** Called with each token of the first sequence: what it adds, and whether it is a part of the text. */
export type OnToken = (
  token: number,
  logprobs: TokenLogprobs,
  text: string | undefined,
  silent: boolean,
) => void;

interface Lane {
  readonly sequence: Sequence;
  readonly logprobs: TokenLogprobs[];
  readonly stops: StopWatch | undefined;
  score: number;
}

export interface SampledGenerationOptions {
  readonly prompt: readonly number[];
  /** The encoder's ids, if the model has one; `prompt` is then the decoder's. */
  readonly source?: readonly number[] | undefined;
  readonly options: ResolvedOptions;
  /** See {@link Sequence}. */
  readonly root: string | undefined;
  readonly onToken: OnToken;
  /** Looks for stop strings in one sequence's text; undefined: there are none. */
  readonly watch?: (() => StopWatch) | undefined;
}

/** One or several sequences that each go their own way: greedy, or drawn at random. */
export class SampledGeneration implements Generation {
  readonly maxBlocks: number;
  readonly candidates: number;
  readonly #given: SampledGenerationOptions;
  #lanes: Lane[] = [];
  #source: Sequence | undefined;
  readonly #outcomes: (SequenceOutcome | undefined)[];
  #cached = 0;

  constructor(given: SampledGenerationOptions) {
    this.#given = given;
    const { maxNewTokens, numReturnSequences, logprobs } = given.options;
    const [prompt, all] = [0, maxNewTokens].map((more) => blocksFor(given.prompt.length + more)) as [
      number,
      number,
    ];
    // Each sequence but the first has its own last block of the prompt, and what follows.
    const own = all + (numReturnSequences - 1) * (all - prompt + 1);
    this.maxBlocks = own + blocksFor(given.source?.length ?? 0);
    this.candidates = logprobs;
    this.#outcomes = new Array<SequenceOutcome | undefined>(numReturnSequences).fill(undefined);
  }

  get sequences(): readonly Sequence[] {
    return this.#lanes.map((lane) => lane.sequence);
  }

  get source(): Sequence | undefined {
    return this.#source;
  }

  get outcome(): GenerationOutcome {
    return { sequences: this.#outcomes.filter((o) => o !== undefined), cachedTokens: this.#cached };
  }

  start(pool: KvPool): void {
    const { prompt, root, source } = this.#given;
    this.#source = source && new Sequence(pool, source, source.length);
    const sequence = new Sequence(pool, prompt, prompt.length, { root, source: this.#source });
    this.#cached = sequence.cached;
    this.#add(sequence);
  }

  #add(sequence: Sequence): void {
    this.#lanes.push({ sequence, logprobs: [], score: 0, stops: this.#given.watch?.() });
  }

  get stopIds(): readonly number[] {
    return [...this.#given.options.eosTokenIds, ...this.#given.options.stopTokenIds];
  }

  steadySteps({ tokens, promptLength }: Sequence): number {
    if (this.#given.watch) return 1;
    return steadySteps(this.#given.options, tokens.length, promptLength);
  }

  row({ tokens, promptLength, returnIndex }: Sequence): SampleRow {
    return sampleRow(this.#given.options, {
      history: tokens,
      promptLength,
      encoder: this.#given.source ?? this.#given.prompt,
      returnIndex,
    });
  }

  async advance(choices: ReadonlyMap<Sequence, RowChoice>): Promise<readonly []> {
    const first = this.#lanes[0]?.sequence;
    // Once the prompt is in the cache, the other sequences share it.
    if (first?.returnIndex === 0 && first.tokens.length === first.promptLength)
      for (let i = 1; i < this.#outcomes.length; i++) this.#add(first.sibling(i));
    for (const lane of [...this.#lanes]) {
      const choice = choices.get(lane.sequence);
      if (choice) await this.#take(lane, choice);
    }
    return [];
  }

  async #take(lane: Lane, choice: RowChoice): Promise<void> {
    if (choice.id < 0)
      throw new ModelFormatError(
        'generate: the model computed NaN for every token; its weights or config.json are damaged',
      );
    const { sequence } = lane;
    const { options, onToken } = this.#given;
    const top = Array.from(choice.topIds.subarray(0, options.logprobs), (token, i) => ({
      token,
      logprob: choice.topLogprobs[i] as number,
    }));
    const logprobs = { token: choice.id, logprob: choice.logprob, top };
    sequence.tokens.push(choice.id);
    lane.logprobs.push(logprobs);
    lane.score += choice.logprob;
    const ended = this.#finishReason(sequence, choice.id);
    const silent = ended === 'eos' || ended === 'stop';
    const seen = await lane.stops?.push(choice.id, { silent, last: ended !== undefined });
    if (sequence.returnIndex === 0) onToken(choice.id, logprobs, seen?.text, silent);
    const reason = seen?.stopped ? 'stop' : ended;
    if (reason) this.#end(lane, reason, silent && !seen?.stopped ? 1 : 0);
  }

  #finishReason({ tokens, promptLength }: Sequence, id: number): FinishReason | undefined {
    const { eosTokenIds, stopTokenIds, maxNewTokens } = this.#given.options;
    if (eosTokenIds.includes(id)) return 'eos';
    if (stopTokenIds.includes(id)) return 'stop';
    return tokens.length - promptLength >= maxNewTokens ? 'length' : undefined;
  }

  #end(lane: Lane, finishReason: FinishReason, silent: number): void {
    const { sequence, logprobs, score, stops } = lane;
    const tokens = sequence.tokens.slice(sequence.promptLength);
    this.#outcomes[sequence.returnIndex] = {
      tokens,
      score,
      finishReason,
      logprobs,
      silent,
      ...(stops ? { text: stops.text } : {}),
    };
    sequence.release();
    this.#lanes = this.#lanes.filter((other) => other !== lane);
  }

  release(): void {
    for (const { sequence, stops } of this.#lanes) {
      sequence.release();
      stops?.close();
    }
    this.#lanes = [];
    this.#source?.release();
  }
}
