import { ModelFormatError, UnsupportedError } from '../errors.js';
import { type CharSet, parseRegex, RegexFault, type RegexNode } from './parse_regex.js';

/**
 * Most steps back that a pattern may take over n characters: factor · n^degree. The Rust library ends the process when Oniguruma
 * takes 10 million of them in one match.
 */
export interface RegexCost {
  readonly degree: number;
  readonly factor: number;
  /** Whether a stretch that it steps back over may hold white space and other characters. */
  readonly mixed: boolean;
}

const free: RegexCost = { degree: 0, factor: 1, mixed: false };
/** From here on a cost is as good as without bound. */
const maxFactor = 1e6;
const maxDegree = 3;

/**
 * The cost of a pattern. Throws ModelFormatError for one that is broken, UnsupportedError for one whose cost grows faster than
 * with n³ or that has what is not understood here.
 */
export function regexCost(pattern: string, where: string): RegexCost {
  const cost = costOf(parsed(pattern, where), false);
  if (cost) return cost;
  throw new UnsupportedError(
    `${where}: expected a regular expression that takes few steps back, got ${show(pattern)}, in which repetitions lie inside or behind one another`,
  );
}

/** Whether a pattern may match where no character is. Throws as {@link regexCost} does. */
export function mayMatchNothing(pattern: string, where: string): boolean {
  return leastLength(parsed(pattern, where)) === 0;
}

function parsed(pattern: string, where: string): RegexNode {
  try {
    return parseRegex(pattern);
  } catch (error) {
    if (!(error instanceof RegexFault)) throw error;
    const message = `${where}: expected a regular expression, got ${show(pattern)}, with ${error.message}`;
    throw new (error.broken ? ModelFormatError : UnsupportedError)(message, { cause: error });
  }
}

const show = (pattern: string): string =>
  JSON.stringify(pattern.length > 60 ? `${pattern.slice(0, 57)}...` : pattern);

/** `retried`: whether something behind the node may fail, so that other ways through the node are tried. Undefined: no bound. */
function costOf(node: RegexNode, retried: boolean): RegexCost | undefined {
  switch (node.kind) {
    case 'char':
      return free;
    case 'none':
      return node.body ? costOf(node.body, false) : free;
    case 'atomic':
      return costOf(node.body, false);
    case 'any':
      return node.branches.reduce<RegexCost | undefined>((sum, b) => plus(sum, costOf(b, retried)), {
        ...free,
        factor: 0,
      });
    case 'all':
      return costOfAll(node.items, retried);
    case 'repeat':
      return costOfRepeat(node, retried);
  }
}

function costOfAll(items: readonly RegexNode[], retried: boolean): RegexCost | undefined {
  let cost: RegexCost | undefined = free;
  let behind = retried;
  for (const item of items.toReversed()) {
    cost = times(cost, costOf(item, behind));
    behind ||= mayFail(item);
  }
  return cost;
}

function costOfRepeat(
  { body, min, max }: Extract<RegexNode, { kind: 'repeat' }>,
  retried: boolean,
): RegexCost | undefined {
  const inner = costOf(body, retried || min > 1);
  if (!inner) return undefined;
  const ambiguous = inner.degree > 0 || inner.factor > 1;
  const rounds = retried ? max : min > 1 ? min : 1;
  const repeated = ambiguous ? power(inner, rounds) : inner;
  if (!retried || min === max) return repeated;
  // How many rounds there were is a choice too.
  const choice: RegexCost =
    max === Number.POSITIVE_INFINITY
      ? { degree: 1, factor: 1, mixed: setsOf(body).size > 1 || setsOf(body).has('both') }
      : { degree: 0, factor: max - min + 1, mixed: false };
  return times(repeated, choice);
}

function setsOf(node: RegexNode): Set<CharSet> {
  switch (node.kind) {
    case 'char':
      return new Set([node.set]);
    case 'none':
      return new Set();
    case 'any':
      return new Set(node.branches.flatMap((branch) => [...setsOf(branch)]));
    case 'all':
      return new Set(node.items.flatMap((item) => [...setsOf(item)]));
    default:
      return setsOf(node.body);
  }
}

function plus(a: RegexCost | undefined, b: RegexCost | undefined): RegexCost | undefined {
  if (!a || !b) return undefined;
  const mixed = a.mixed || b.mixed;
  if (a.degree !== b.degree) return { ...(a.degree > b.degree ? a : b), mixed };
  return { degree: a.degree, factor: a.factor + b.factor, mixed };
}

function times(a: RegexCost | undefined, b: RegexCost | undefined): RegexCost | undefined {
  if (!a || !b) return undefined;
  const [degree, factor] = [a.degree + b.degree, a.factor * b.factor];
  if (degree > maxDegree || factor > maxFactor) return undefined;
  return { degree, factor, mixed: a.mixed || b.mixed };
}

function power(cost: RegexCost, rounds: number): RegexCost | undefined {
  const [degree, factor] = [cost.degree * rounds, cost.factor ** rounds];
  if (!(degree <= maxDegree && factor <= maxFactor)) return undefined;
  return { degree, factor, mixed: cost.mixed };
}

/** Whether something may stand where the node does not match. */
function mayFail(node: RegexNode): boolean {
  switch (node.kind) {
    case 'char':
    case 'none':
      return true;
    case 'atomic':
      return mayFail(node.body);
    case 'any':
      return node.branches.every(mayFail);
    case 'all':
      return node.items.some(mayFail);
    case 'repeat':
      return node.min > 0 && mayFail(node.body);
  }
}

function leastLength(node: RegexNode): number {
  switch (node.kind) {
    case 'char':
      return 1;
    case 'none':
      return 0;
    case 'atomic':
      return leastLength(node.body);
    case 'any':
      return Math.min(...node.branches.map(leastLength));
    case 'all':
      return node.items.reduce((n, item) => n + leastLength(item), 0);
    case 'repeat':
      return node.min === 0 ? 0 : node.min * leastLength(node.body);
  }
}
