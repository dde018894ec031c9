/**
 * What can go on between the start of a match and its end, as far as it matters to how long a backtracking matcher may try.
 * `char` takes one character, `none` stands between two: an anchor, or a look around whose body is tried on its own.
 */
export type RegexNode =
  | { readonly kind: 'char'; readonly set: CharSet }
  | { readonly kind: 'none'; readonly body?: RegexNode; readonly behind?: boolean }
  | { readonly kind: 'all'; readonly items: readonly RegexNode[] }
  | { readonly kind: 'any'; readonly branches: readonly RegexNode[] }
  | { readonly kind: 'atomic'; readonly body: RegexNode }
  | { readonly kind: 'repeat'; readonly body: RegexNode; readonly min: number; readonly max: number };

/** Whether a character may be white space, something else, or both. */
export type CharSet = 'space' | 'other' | 'both';

/** A pattern that is `broken`, or one that Oniguruma may take and that is not understood here. */
export class RegexFault extends Error {
  readonly broken: boolean;

  constructor(message: string, broken = false) {
    super(message);
    this.broken = broken;
  }
}

/** Parses a pattern in the syntax of Oniguruma (https://github.com/kkos/oniguruma/blob/master/doc/RE). Throws {@link RegexFault}. */
export function parseRegex(pattern: string): RegexNode {
  const reader = new Reader([...pattern]);
  const node = readBranches(reader, 0);
  if (!reader.done) throw new RegexFault('a group that is closed and was not opened', true);
  return node;
}

class Reader {
  readonly #chars: readonly string[];
  #at = 0;

  constructor(chars: readonly string[]) {
    this.#chars = chars;
  }

  get done(): boolean {
    return this.#at >= this.#chars.length;
  }

  get next(): string {
    return this.#chars[this.#at] ?? '';
  }

  take(): string {
    return this.#chars[this.#at++] ?? '';
  }

  /** Takes `text` if it comes next. */
  skip(text: string): boolean {
    const chars = [...text];
    if (!chars.every((c, i) => this.#chars[this.#at + i] === c)) return false;
    this.#at += chars.length;
    return true;
  }

  /** Takes what `pattern` finds right here; undefined: nothing. */
  match(pattern: RegExp): RegExpMatchArray | undefined {
    const found = this.#chars
      .slice(this.#at, this.#at + 64)
      .join('')
      .match(pattern);
    if (!found) return undefined;
    this.#at += [...found[0]].length;
    return found;
  }

  /** Takes all up to and with `end`. */
  skipPast(end: string): void {
    while (!this.done) if (this.take() === end) return;
    throw new RegexFault(`no closing ${end}`, true);
  }
}

const maxDepth = 100;
const maxQuantifiers = 8;
const unbounded = Number.POSITIVE_INFINITY;
const none: RegexNode = { kind: 'none' };
const char = (set: CharSet): RegexNode => ({ kind: 'char', set });

function readBranches(reader: Reader, depth: number): RegexNode {
  if (depth > maxDepth) throw new RegexFault(`more than ${maxDepth} groups inside one another`);
  const branches = [readItems(reader, depth)];
  while (reader.skip('|')) branches.push(readItems(reader, depth));
  const [only] = branches;
  return branches.length === 1 && only ? only : { kind: 'any', branches };
}

function readItems(reader: Reader, depth: number): RegexNode {
  const items: RegexNode[] = [];
  while (!reader.done && reader.next !== '|' && reader.next !== ')') {
    const atom = readAtom(reader, depth);
    items.push(readQuantifiers(reader, atom));
  }
  return { kind: 'all', items };
}

function readQuantifiers(reader: Reader, atom: RegexNode): RegexNode {
  let node = atom;
  for (let count = 0; ; count++) {
    if (count > maxQuantifiers) throw new RegexFault(`more than ${maxQuantifiers} quantifiers in a row`);
    const sign = reader.match(/^[*+?]/)?.[0];
    if (sign !== undefined) {
      const body = node;
      const repeat: RegexNode = {
        kind: 'repeat',
        body,
        min: sign === '+' ? 1 : 0,
        max: sign === '?' ? 1 : unbounded,
      };
      node = reader.skip('+') ? { kind: 'atomic', body: repeat } : repeat;
      reader.skip('?'); // lazy: the same choices, tried the other way round
      continue;
    }
    const interval = reader.match(/^\{(?:(\d{1,6})(,)?(\d{1,6})?|,(\d{1,6}))\}/);
    if (!interval) return node;
    const [, low = '0', comma, high, most] = interval;
    const max = most ?? high ?? (comma === undefined ? low : undefined);
    node = { kind: 'repeat', body: node, min: Number(low), max: max === undefined ? unbounded : Number(max) };
    // After one number a question mark makes all of it optional; after two it is lazy.
    if (comma !== undefined || most !== undefined) reader.skip('?');
  }
}

function readAtom(reader: Reader, depth: number): RegexNode {
  const c = reader.take();
  if (c === '(') return readGroup(reader, depth + 1);
  if (c === '[') return readClass(reader, depth);
  if (c === '\\') return readEscape(reader);
  if (c === '^' || c === '$') return none;
  if (c === '.') return char('both');
  return char(/\s/u.test(c) ? 'space' : 'other');
}

function readGroup(reader: Reader, depth: number): RegexNode {
  if (reader.skip('?#')) {
    reader.skipPast(')');
    return none;
  }
  const close = (node: RegexNode): RegexNode => {
    if (!reader.skip(')')) throw new RegexFault('a group that is not closed', true);
    return node;
  };
  if (reader.match(/^\?[=!]/)) return close({ kind: 'none', body: readBranches(reader, depth) });
  if (reader.match(/^\?<[=!]/))
    return close({ kind: 'none', body: readBranches(reader, depth), behind: true });
  if (reader.skip('?>')) return close({ kind: 'atomic', body: readBranches(reader, depth) });
  if (reader.skip('?:') || reader.match(/^\?(<\w+>|'\w+')/u)) return close(readBranches(reader, depth));
  const options = reader.match(/^\?[imsWDSP-]+([:)])/);
  // An option on its own holds to the end of the group around it, alternatives included.
  if (options?.[1] === ')') return readBranches(reader, depth);
  if (!options && /[?*]/.test(reader.next)) throw new RegexFault(`a group that begins with (${reader.next}`);
  return close(readBranches(reader, depth));
}

/** One character of `[…]`, which may hold others of its kind. */
function readClass(reader: Reader, depth: number): RegexNode {
  if (depth > maxDepth) throw new RegexFault(`more than ${maxDepth} brackets inside one another`);
  const negated = reader.skip('^');
  const sets = new Set<CharSet>();
  let [allSpace, crossed] = [false, false];
  for (let first = true; first || reader.next !== ']'; first = false) {
    if (reader.done) throw new RegexFault('a [ that is not closed', true);
    crossed ||= reader.skip('&&');
    allSpace ||= reader.skip('\\s');
    const c = reader.next === ']' && !first ? '' : reader.take();
    if (c === '[') {
      if (!reader.match(/^:\^?[a-z]+:\]/)) readClass(reader, depth + 1);
      sets.add('both');
    } else if (c === '\\') sets.add(setOfEscape(reader));
    else if (c !== '') sets.add(/\s/u.test(c) ? 'space' : 'other');
  }
  reader.take();
  if (crossed) return char('both');
  if (negated) return char(allSpace ? 'other' : 'both');
  if (allSpace) sets.add('space');
  return char(sets.size === 1 ? ([...sets][0] as CharSet) : 'both');
}

const anchors = /^[bBAZzGyY]$/;

function readEscape(reader: Reader): RegexNode {
  if (reader.done) throw new RegexFault('a \\ at the end', true);
  const c = reader.next;
  if (anchors.test(c)) {
    reader.take();
    return none;
  }
  if (/^[1-9kgKX]$/.test(c)) throw new RegexFault(`\\${c}`);
  if (c === 'R') {
    reader.take();
    return { kind: 'atomic', body: { kind: 'repeat', body: char('both'), min: 1, max: 2 } };
  }
  return char(setOfEscape(reader));
}

/** Takes what follows a backslash that stands for one character. */
function setOfEscape(reader: Reader): CharSet {
  const property = reader.match(/^[pP]\{\^?[\w\s=&-]*\}/u)?.[0];
  if (property !== undefined) return /^p\{[LMNPS][a-z]?\}$/.test(property) ? 'other' : 'both';
  if (reader.match(/^(x\{[0-9a-fA-F\s]*\}|x[0-9a-fA-F]{1,2}|u[0-9a-fA-F]{4}|[0-7]{1,3}|c.|C-.|M-.)/u))
    return 'both';
  const c = reader.take();
  if (/^[WDNOH]$/.test(c)) return 'both';
  return /^[stnrfv]$/.test(c) ? 'space' : 'other';
}
