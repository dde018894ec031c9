/** Text that may be shown. */
export interface StopResult {
  readonly text: string;
  /** A stop string was met: `text` ends before it, and nothing follows. */
  readonly stopped: boolean;
}

/**
 * Looks for stop strings in text that comes in pieces. Text that may be the beginning of one is held back. The first stop string
 * to be complete wins, of those that end together the longest: so the result does not depend on where the pieces are cut.
 */
export class StopFilter {
  readonly #stops: readonly string[];
  #held = '';
  #stopped = false;

  constructor(stops: readonly string[]) {
    this.#stops = stops;
  }

  /** The next piece of text → what may be shown by now. */
  push(piece: string): StopResult {
    if (this.#stopped) return { text: '', stopped: true };
    const text = this.#held + piece;
    const cut = this.#match(text);
    if (cut !== undefined) {
      this.#held = '';
      this.#stopped = true;
      return { text: text.slice(0, cut), stopped: true };
    }
    const hold = this.#holdFrom(text);
    this.#held = text.slice(hold);
    return { text: text.slice(0, hold), stopped: false };
  }

  /** The text ends here: what was held back. */
  flush(): string {
    const text = this.#held;
    this.#held = '';
    return text;
  }

  /** Where the winning stop string begins. */
  #match(text: string): number | undefined {
    let best: { begin: number; end: number } | undefined;
    for (const stop of this.#stops) {
      const begin = stop === '' ? -1 : text.indexOf(stop);
      if (begin < 0) continue;
      const end = begin + stop.length;
      if (!best || end < best.end || (end === best.end && begin < best.begin)) best = { begin, end };
    }
    return best?.begin;
  }

  /** The first place from which the text may be the beginning of a stop string. */
  #holdFrom(text: string): number {
    const longest = this.#stops.reduce((n, stop) => Math.max(n, stop.length), 0);
    for (let from = Math.max(0, text.length - longest + 1); from < text.length; from++) {
      const end = text.slice(from);
      if (this.#stops.some((stop) => stop.startsWith(end))) return from;
    }
    return text.length;
  }
}
