import type { DecodeStream } from '../tokenizers/tokenizer.js';
import type { GeneratePiece, GenerateResult, TokenLogprobs } from './result.js';

/** A token of the stream; `text` where it is known already, `silent` where it is no part of the text. */
export interface StreamedToken {
  readonly token: number;
  readonly logprobs: TokenLogprobs;
  readonly text: string | undefined;
  readonly silent: boolean;
}

export interface RequestWork {
  /** Runs the request; `emit` takes the first sequence's tokens as they come. */
  run(emit: (token: StreamedToken) => void): Promise<GenerateResult>;
  abort(): void;
  /** Decoder of the first sequence's text; undefined without tokenizer. Called after the first token. */
  decoder(): DecodeStream | undefined;
  readonly withLogprobs: boolean;
}

/**
 * A call of `generate()`: a promise of the result, and an async iterable of pieces of the same run. It runs from the call on,
 * awaited or not; leaving the loop aborts it. Nothing that nobody awaits becomes an unhandled rejection.
 */
export class GenerateRequest implements Promise<GenerateResult>, AsyncIterable<GeneratePiece> {
  readonly [Symbol.toStringTag] = 'GenerateRequest';
  readonly #work: RequestWork;
  readonly #result: Promise<GenerateResult>;
  #queue: StreamedToken[] = [];
  #ended = false;
  #wake: () => void = () => {};

  constructor(work: RequestWork) {
    this.#work = work;
    this.#result = work
      .run((token) => {
        this.#queue.push(token);
        this.#wake();
      })
      .finally(() => {
        this.#ended = true;
        this.#wake();
      });
    this.#result.catch(() => {});
  }

  // biome-ignore lint/suspicious/noThenProperty: it is a promise
  then<A = GenerateResult, B = never>(
    onResult?: ((result: GenerateResult) => A | PromiseLike<A>) | null,
    onError?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#result.then(onResult, onError);
  }

  catch<B = never>(onError?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<GenerateResult | B> {
    return this.#result.catch(onError);
  }

  finally(onEnd?: (() => void) | null): Promise<GenerateResult> {
    return this.#result.finally(onEnd);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<GeneratePiece, void, undefined> {
    let decoder: DecodeStream | undefined;
    let complete = false;
    let given = 0;
    try {
      while (true) {
        if (this.#queue.length === 0 && !this.#ended)
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        const tokens = this.#queue.splice(0);
        given += tokens.length;
        if (tokens.length > 0) {
          decoder ??= this.#work.decoder();
          yield await this.#piece(tokens, decoder);
        } else if (this.#ended) break;
      }
      const { text, tokens, sequences } = await this.#result;
      complete = true;
      const rest = given > 0 ? await decoder?.flush() : text;
      // The best beam is known at the end only: all of it comes at once.
      const late = given > 0 ? [] : tokens;
      const logprobs = given > 0 ? [] : (sequences[0]?.logprobs ?? []);
      if (rest || late.length > 0)
        yield { text: rest ?? '', tokens: [...late], ...(this.#work.withLogprobs ? { logprobs } : {}) };
    } finally {
      decoder?.close();
      if (!complete) this.#work.abort();
    }
  }

  async #piece(tokens: readonly StreamedToken[], decoder: DecodeStream | undefined): Promise<GeneratePiece> {
    const known = tokens.every((t) => t.text !== undefined);
    const heard = tokens.filter((t) => !t.silent).map((t) => t.token);
    const text = known ? tokens.map((t) => t.text).join('') : ((await decoder?.push(heard)) ?? '');
    const piece = { text, tokens: tokens.map((t) => t.token) };
    return this.#work.withLogprobs ? { ...piece, logprobs: tokens.map((t) => t.logprobs) } : piece;
  }
}
