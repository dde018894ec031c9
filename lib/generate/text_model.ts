import { InvalidArgumentError, ModelFormatError, type TrigaError, UnsupportedError } from '../errors.js';
import type { RopeFrequencies } from '../nn/rope_frequencies.js';
import type { Tensor } from '../tensor.js';
import type { ChatMessage } from '../tokenizers/chat_template.js';
import type { Tokenizer } from '../tokenizers/tokenizer.js';
import { BeamGeneration } from './beam_generation.js';
import {
  blocksOf,
  type ForwardOptions,
  type ForwardOutput,
  type ForwardPass,
  forwardPass,
} from './forward_pass.js';
import type { FileDefaults } from './generation_config.js';
import { joinRows } from './join_rows.js';
import { makeResult } from './make_result.js';
import type { ModelRuntime } from './model_runtime.js';
import { type GenerateOptions, type ResolvedOptions, resolveOptions } from './options.js';
import { GenerateRequest, type StreamedToken } from './request.js';
import type { GenerateResult, SequenceOutcome } from './result.js';
import { SampledGeneration } from './sampled_generation.js';
import type { Scheduler } from './scheduler.js';
import { StopWatch } from './stop_watch.js';

/** What a loaded model is. */
export interface ModelInfo {
  readonly family: string;
  /** Numbers that were learned, tied ones once. */
  readonly parameters: number;
  readonly device: string;
  /** Why another device than the one first in line runs it. */
  readonly fallbackReason?: string;
  readonly isa: string;
  /** Type of the weights in memory. */
  readonly weights: string;
  /** Memory that the engine holds for it: weights, KV cache and workspace. */
  readonly bytes: number;
  readonly contextLength: number;
  readonly vocabSize: number;
  /** Fields of the configuration that nobody read and that may matter. */
  readonly ignoredFields: readonly string[];
}

/** Text, a conversation, or token ids. */
export type Prompt = string | readonly ChatMessage[] | readonly number[];

/** Parts that a {@link LanguageModel} is made of. */
export interface LanguageModelParts {
  readonly info: Omit<ModelInfo, 'bytes'>;
  readonly unbounded: boolean;
  readonly rope: RopeFrequencies | undefined;
  readonly runtime: ModelRuntime;
  readonly scheduler: Scheduler;
  readonly tokenizer: Tokenizer | undefined;
  readonly defaults: FileDefaults;
  readonly bosTokenId: number | undefined;
  /** Of an encoder-decoder: the id that the decoder begins with. */
  readonly startTokenId: number | undefined;
  /** Likewise: positions of the encoder. */
  readonly sourceLength: number | undefined;
}

/** A model that writes text: what models with and without an encoder have in common. Calls may overlap: they share steps. */
export class LanguageModel {
  readonly #parts: LanguageModelParts;
  /** Calls under way. */
  readonly #live = new Set<AbortController>();
  #disposed: Promise<void> | undefined;

  constructor(parts: LanguageModelParts) {
    this.#parts = parts;
  }

  get info(): ModelInfo {
    return { ...this.#parts.info, bytes: this.#parts.runtime.session.bytes };
  }

  /** Throws UnsupportedError if the checkpoint has no tokenizer.json. */
  get tokenizer(): Tokenizer {
    const { tokenizer } = this.#parts;
    if (!tokenizer)
      throw new UnsupportedError(
        'tokenizer: the model directory has no tokenizer.json; give token ids, or add one',
      );
    return tokenizer;
  }

  /** The id that begins a text, by the checkpoint's files. */
  get bosTokenId(): number | undefined {
    return this.#parts.bosTokenId;
  }

  /**
   * Continues a prompt, or answers what an encoder has read. The request starts at the call; await it for the result, or loop over
   * it for pieces of the same run. Rejects with InvalidArgumentError, UnsupportedError, ModelFormatError (weights or a tokenizer that
   * are damaged), OutOfMemoryError, or AbortError.
   */
  generate(prompt: Prompt, options: GenerateOptions = {}): GenerateRequest {
    const abort = new AbortController();
    let decoder: Tokenizer | undefined;
    let ids: readonly number[] = [];
    return new GenerateRequest({
      run: (emit) =>
        this.#call(abort, options?.signal, async (signal) => {
          const started = performance.now();
          const inputs = this.#inputs(await this.#promptIds(prompt, signal));
          ids = inputs.prompt;
          decoder = this.#parts.tokenizer;
          return await this.#run(inputs, options, signal, started, emit);
        }),
      abort: () => {
        abort.abort();
      },
      decoder: () => decoder?.stream(ids),
      withLogprobs: (options?.logprobs ?? 0) > 0,
    });
  }

  /** Runs ids through one of the model's graphs, alone: its outputs for every position, one after the other. */
  protected async forwardIds(
    ids: Pick<ForwardPass, 'ids' | 'source'>,
    output: ForwardOutput,
    { signal, ...options }: ForwardOptions,
  ): Promise<Readonly<Record<string, Tensor>>[]> {
    return await this.#call(new AbortController(), signal, async (stop) => {
      const { runtime, rope, scheduler, info } = this.#parts;
      const pass = { runtime, rope, vocabSize: info.vocabSize, ...ids, output };
      return await scheduler.exclusive(
        () => forwardPass(pass, { ...options, signal: stop }),
        blocksOf(ids),
        stop,
      );
    });
  }

  /** A call that ends with an abort of its own or of the caller's signal, and with the model. */
  async #call<T>(
    abort: AbortController,
    given: AbortSignal | undefined,
    run: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    this.#throwIfDisposed();
    this.#live.add(abort);
    try {
      // Listeners go to a signal of this call's own: many calls may share the caller's.
      return await run(given instanceof AbortSignal ? AbortSignal.any([abort.signal, given]) : abort.signal);
    } catch (error) {
      throw this.#disposed ? disposedError() : error;
    } finally {
      this.#live.delete(abort);
    }
  }

  async #promptIds(prompt: Prompt, signal: AbortSignal): Promise<readonly number[]> {
    if (typeof prompt === 'string') return await this.#encode(prompt, { signal });
    if (!Array.isArray(prompt))
      throw new InvalidArgumentError(
        `generate: expected a string, messages or token ids as prompt, got ${prompt === null ? 'null' : typeof prompt}`,
      );
    if (prompt.length > 0 && typeof prompt[0] === 'object') {
      const text = await this.tokenizer.applyChatTemplate(prompt as readonly ChatMessage[]);
      return await this.#encode(text, { signal, addSpecialTokens: false });
    }
    return [...(prompt as readonly number[])];
  }

  /** A prompt's ids, of which the caller who gave a text knows nothing. */
  async #encode(
    text: string,
    options: { addSpecialTokens?: boolean; signal: AbortSignal },
  ): Promise<number[]> {
    const ids = await this.tokenizer.encode(text, options);
    if (ids.length === 0)
      throw new InvalidArgumentError(
        'prompt: expected at least one token, got a text of which the tokenizer makes none',
      );
    const { vocabSize } = this.#parts.info;
    const strange = ids.find((id) => id >= vocabSize);
    if (strange === undefined) return ids;
    throw new ModelFormatError(
      `tokenizer.json: expected ids from 0 to ${vocabSize - 1}, by config.json's vocab_size, got ${strange} in the prompt; ` +
        'take the tokenizer that the model was trained with',
    );
  }

  /** What the encoder and the decoder begin with. */
  #inputs(ids: readonly number[]): Inputs {
    this.checkIds(ids);
    const { startTokenId } = this.#parts;
    return startTokenId === undefined ? { prompt: ids } : { source: ids, prompt: [startTokenId] };
  }

  /** Throws InvalidArgumentError for ids that the model cannot take; the prompt is what an encoder takes, if there is one. */
  protected checkIds(ids: readonly number[], name: 'prompt' | 'decoderIds' = 'prompt'): void {
    const { vocabSize, contextLength } = this.#parts.info;
    const { sourceLength, unbounded } = this.#parts;
    if (!Array.isArray(ids) || ids.length === 0)
      throw new InvalidArgumentError(`${name}: expected at least one token, got none`);
    const wrong = ids.findIndex(
      (id: unknown) => !Number.isInteger(id) || (id as number) < 0 || (id as number) >= vocabSize,
    );
    if (wrong >= 0)
      throw new InvalidArgumentError(
        `${name}: expected token ids from 0 to ${vocabSize - 1}, got ${String(ids[wrong])} at ${wrong}`,
      );
    const [most, which] =
      sourceLength !== undefined && name === 'prompt'
        ? [sourceLength, "the positions of the model's encoder"]
        : [contextLength, "the model's context"];
    if (ids.length > most && !unbounded)
      throw new InvalidArgumentError(
        `${name}: expected at most ${most} tokens, ${which}, got ${ids.length}; shorten it`,
      );
  }

  async #run(
    inputs: Inputs,
    call: GenerateOptions,
    signal: AbortSignal,
    started: number,
    emit: (token: StreamedToken) => void,
  ): Promise<GenerateResult> {
    const { prompt, source } = inputs;
    const { info, unbounded } = this.#parts;
    const asked = resolveOptions(call, this.#parts.defaults, {
      vocabSize: info.vocabSize,
      promptLength: prompt.length,
    });
    const room = unbounded ? Number.POSITIVE_INFINITY : info.contextLength - prompt.length;
    const options = { ...asked, maxNewTokens: Math.min(asked.maxNewTokens, room) };
    let firstTokenMs = 0;
    let lastTokenMs = 0;
    const onToken = (token: StreamedToken): void => {
      lastTokenMs = performance.now() - started;
      firstTokenMs ||= lastTokenMs;
      emit(token);
    };
    const generation = this.#generation(inputs, options, onToken);
    if (room > 0) await this.#parts.scheduler.run(generation, signal);
    const { sequences, cachedTokens } =
      room > 0
        ? generation.outcome
        : {
            sequences: new Array<SequenceOutcome>(options.numReturnSequences).fill(emptyOutcome),
            cachedTokens: 0,
          };
    const texts = await Promise.all(sequences.map((outcome) => this.#text(prompt, outcome)));
    const totalMs = performance.now() - started;
    return makeResult((source ?? prompt).length, sequences, texts, {
      cachedTokens,
      timings: {
        seed: options.seed,
        firstTokenMs: firstTokenMs || totalMs,
        lastTokenMs: lastTokenMs || totalMs,
        totalMs,
      },
      logprobs: options.logprobs > 0,
    });
  }

  #generation(
    { prompt, source }: Inputs,
    options: ResolvedOptions,
    emit: (token: StreamedToken) => void,
  ): BeamGeneration | SampledGeneration {
    // What the decoder makes of its ids depends on the source as well.
    const root = source ? undefined : this.#prefixRoot(prompt.length + options.maxNewTokens, prompt.length);
    if (options.mode === 'beam') {
      const { vocabSize } = this.#parts.info;
      return new BeamGeneration({ prompt, source, options, root, vocabSize });
    }
    const { stopStrings } = options;
    const tokenizer = stopStrings.length > 0 ? this.tokenizer : undefined;
    const watch = tokenizer && (() => new StopWatch(tokenizer.stream(prompt), stopStrings));
    return new SampledGeneration({
      prompt,
      source,
      options,
      root,
      watch,
      onToken: (token, logprobs, text, silent) => {
        emit({ token, logprobs, text, silent });
      },
    });
  }

  /** What decides the content of cached blocks besides the tokens. Keys that were rotated by changing frequencies are not shared. */
  #prefixRoot(longest: number, promptLength: number): string | undefined {
    const { rope, info } = this.#parts;
    if (!rope?.dynamic || longest <= info.contextLength) return 'base';
    return promptLength <= info.contextLength ? undefined : `length ${promptLength}`;
  }

  async #text(prompt: readonly number[], outcome: SequenceOutcome): Promise<string> {
    const { tokenizer } = this.#parts;
    if (outcome.text !== undefined) return outcome.text;
    if (!tokenizer) return '';
    const stream = tokenizer.stream(prompt);
    const text = await stream.push(outcome.tokens.slice(0, outcome.tokens.length - outcome.silent));
    return text + (await stream.flush());
  }

  #throwIfDisposed(): void {
    if (this.#disposed) throw disposedError();
  }

  /** Ends what runs and frees all memory. Idempotent. Pending and later calls reject with InvalidArgumentError. */
  dispose(): Promise<void> {
    this.#disposed ??= this.#end();
    return this.#disposed;
  }

  async #end(): Promise<void> {
    // The field that says so is set before anything that waits hears of it.
    await Promise.resolve();
    const { scheduler, runtime, tokenizer } = this.#parts;
    for (const call of this.#live) call.abort();
    await scheduler.idle();
    tokenizer?.dispose();
    await runtime.session.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }
}

/** A causal language model. Calls may overlap: they share steps. */
export class TextModel extends LanguageModel {
  /** Logits of every position of `ids`: f32 [T, V]. */
  async logits(ids: readonly number[], options: { readonly signal?: AbortSignal } = {}): Promise<Tensor> {
    const rows = await this.forward(ids, 'logits', options.signal);
    return rows.logits as Tensor;
  }

  /**
   * Natural logarithms of the probabilities that the model gives ids[from], ids[from + 1], …, each after all before it: f32
   * [T − from]. `from` is at least 1, its default: nothing comes before the first.
   */
  async logprobs(
    ids: readonly number[],
    { from = 1, signal }: { readonly from?: number; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<Tensor> {
    this.checkIds(ids);
    if (!Number.isInteger(from) || from < 1 || from > ids.length)
      throw new InvalidArgumentError(
        `logprobs: expected from to be an integer from 1 to the number of ids, ${ids.length}, got ${from}`,
      );
    const passes = await this.forwardIds({ ids: ids.slice(0, -1) }, 'logprobs', {
      targets: ids,
      from,
      signal,
    });
    return (await joinRows(passes)).logprobs ?? { dtype: 'f32', shape: [0], data: new Float32Array(0) };
  }

  /** Runs `ids` through one of the model's graphs; its outputs for every position. */
  async forward(
    ids: readonly number[],
    output: 'logits' | 'hidden',
    signal?: AbortSignal,
  ): Promise<Record<string, Tensor>> {
    this.checkIds(ids);
    return await joinRows(await this.forwardIds({ ids }, output, { signal }));
  }
}

/** Ids of a request. */
interface Inputs {
  readonly prompt: readonly number[];
  readonly source?: readonly number[];
}

const emptyOutcome: SequenceOutcome = {
  tokens: [],
  score: 0,
  finishReason: 'length',
  logprobs: [],
  silent: 0,
};

export const disposedError = (): TrigaError => new InvalidArgumentError('the model was disposed');
