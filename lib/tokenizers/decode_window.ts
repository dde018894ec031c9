const replacement = '\uFFFD';
/** Tokens kept before the ones not yet given out: more than the four bytes of a character or a decoder's look-back. */
const contextTokens = 8;
/** Tokens that a window may grow to before it is cut back. */
const maxTokens = 24;
/** Byte tokens held until their run ends; in a longer one, complete characters are given out at once. */
const maxHeldRun = 24;

export interface TokenDecoder {
  /** Text of token strings; the first one may decode otherwise than in the middle (no leading space). */
  decode(tokens: string[]): string;
  /** Token string, or undefined for ids that are special or unknown. */
  tokenOf(id: number): string | undefined;
  /** Whether a run of `<0xE4>`-like tokens decodes as a whole, so that a later byte may change earlier ones. */
  readonly hasByteFallback: boolean;
}

/**
 * Streaming decoder over a bounded window of tokens. All pieces and the flush together are decode(prefix + ids) without
 * decode(prefix); where the prefix ends within a character, without what both have in common. Text that a later token may change is held back: a trailing U+FFFD, and a
 * trailing run of byte tokens. (Beyond 24 byte tokens in a row complete characters are given out; should a later byte
 * make that run invalid, they stay.)
 */
export class DecodeWindow {
  readonly #decoder: TokenDecoder;
  #tokens: string[];
  /** The part of decode(#tokens) that is given out or belongs to the prefix. */
  #sent: string;
  /** Held text at the prefix's end: the prefix's own if it comes out unchanged. */
  #owed: string;

  constructor(decoder: TokenDecoder, prefix: Uint32Array) {
    this.#decoder = decoder;
    this.#tokens = prefixTokens(decoder, prefix);
    const text = decoder.decode(this.#tokens);
    this.#sent = decoder.hasByteFallback ? this.#complete(text, '') : withoutPartial(text);
    this.#owed = text.slice(commonLength(text, this.#sent));
  }

  push(ids: Uint32Array): string {
    let grown = false;
    for (const id of ids) {
      const token = this.#decoder.tokenOf(id);
      if (token === undefined) continue;
      this.#tokens.push(token);
      grown = true;
    }
    if (!grown) return '';
    const text = this.#decoder.decode(this.#tokens);
    const piece = this.#give(this.#stable(text, this.#sent));
    if (this.#tokens.length > maxTokens) this.#shrink(text);
    return piece;
  }

  /** What is held back. The stream may go on afterwards. */
  flush(): string {
    return this.#give(this.#decoder.decode(this.#tokens));
  }

  #give(text: string): string {
    const piece = text.slice(commonLength(text, this.#sent));
    this.#sent = text;
    if (this.#owed === '') return piece;
    const same = commonLength(piece, this.#owed);
    this.#owed = same === piece.length ? this.#owed.slice(same) : '';
    return piece.slice(same);
  }

  /** The start of `text` = decode(#tokens) that later tokens leave as it is; at least `sent`. */
  #stable(text: string, sent: string): string {
    const run = this.#decoder.hasByteFallback ? byteRun(this.#tokens) : 0;
    if (run === 0) return withoutPartial(text);
    if (run > maxHeldRun) return this.#complete(text, sent);
    const before = this.#decoder.decode(this.#tokens.slice(0, -run));
    return sent.startsWith(before) ? sent : before;
  }

  /** `text` without the up to three byte tokens of a partial character at its end, or `sent` if there is no such. */
  #complete(text: string, sent: string): string {
    for (let held = 0; held < 4; held++) {
      const candidate = held === 0 ? text : this.#decoder.decode(this.#tokens.slice(0, -held));
      if (!candidate.endsWith(replacement) && candidate.startsWith(sent)) return candidate;
    }
    return sent;
  }

  #shrink(text: string): void {
    const run = this.#decoder.hasByteFallback ? byteRun(this.#tokens) : 0;
    const keep = contextTokens + run;
    if (keep >= this.#tokens.length) return;
    const tokens = this.#tokens.slice(-keep);
    const rest = this.#decoder.decode(tokens);
    const held = text.length - this.#sent.length;
    if (held < 0 || held > rest.length) return;
    this.#tokens = tokens;
    this.#sent = rest.slice(0, rest.length - held);
  }
}

function prefixTokens(decoder: TokenDecoder, prefix: Uint32Array): string[] {
  const tokens: string[] = [];
  let inRun = decoder.hasByteFallback;
  let needed = contextTokens;
  for (let i = prefix.length - 1; i >= 0 && needed > 0; i--) {
    const token = decoder.tokenOf(prefix[i] as number);
    if (token === undefined) continue;
    tokens.push(token);
    inRun &&= isByteToken(token);
    if (!inRun) needed--;
  }
  return tokens.reverse();
}

function withoutPartial(text: string): string {
  return text.endsWith(replacement) ? text.slice(0, -1) : text;
}

function byteRun(tokens: readonly string[]): number {
  let run = 0;
  while (run < tokens.length && isByteToken(tokens[tokens.length - 1 - run] as string)) run++;
  return run;
}

function isByteToken(token: string): boolean {
  return token.length === 6 && /^<0x[0-9A-Fa-f]{2}>$/.test(token);
}

/** Length of the common start, never ending inside a surrogate pair. */
function commonLength(a: string, b: string): number {
  if (a.startsWith(b)) return b.length;
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  const last = a.charCodeAt(length - 1);
  return last >= 0xd800 && last < 0xdc00 ? length - 1 : length;
}
