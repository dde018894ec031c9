import type { DecodeStream } from '../tokenizers/tokenizer.js';
import { StopFilter } from './stop.js';

/** Looks for stop strings in the text of one sequence as its tokens come. */
export class StopWatch {
  readonly #stream: DecodeStream;
  readonly #filter: StopFilter;
  #text = '';

  constructor(stream: DecodeStream, stops: readonly string[]) {
    this.#stream = stream;
    this.#filter = new StopFilter(stops);
  }

  /** What may be shown so far. */
  get text(): string {
    return this.#text;
  }

  /** The next token: `silent` ones add no text; after the `last` one, text that was held back comes too. */
  async push(
    token: number,
    { silent, last }: { readonly silent: boolean; readonly last: boolean },
  ): Promise<{ text: string; stopped: boolean }> {
    let { text, stopped } = this.#filter.push(silent ? '' : await this.#stream.push([token]));
    if (last && !stopped) {
      const rest = this.#filter.push(await this.#stream.flush());
      stopped = rest.stopped;
      text += rest.text + (stopped ? '' : this.#filter.flush());
    }
    if (stopped) this.close();
    this.#text += text;
    return { text, stopped };
  }

  close(): void {
    this.#stream.close();
  }
}
