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
      // A look behind is tried at each length that it may have.
      if (!node.body || (node.behind && isUnbounded(node.body))) return node.body ? undefined : free;
      return costOfOnce(node.body, retried);
    case 'atomic':
      return costOfOnce(node.body, retried);
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

/** Of what is tried in one way only, and goes over its characters again each time that it comes to be tried. */
function costOfOnce(body: RegexNode, retried: boolean): RegexCost | undefined {
  const cost = costOf(body, false);
  return retried && cost?.degree === 0 && isUnbounded(body) ? times(cost, anyNumberOf(body)) : cost;
}

/** How often something is repeated is a choice. */
const anyNumberOf = (body: RegexNode): RegexCost => ({
  degree: 1,
  factor: 1,
  mixed: setsOf(body).size > 1 || setsOf(body).has('both'),
});

function costOfAll(items: readonly RegexNode[], retried: boolean): RegexCost | undefined {
  let [again, once]: (RegexCost | undefined)[] = [free, free];
  let behind = retried;
  for (const item of items.toReversed()) {
    const cost = costOf(item, behind);
    if (behind) again = times(again, cost);
    else once = larger(once, cost);
    behind ||= mayFail(item);
  }
  return larger(again, once);
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
  if (max === Number.POSITIVE_INFINITY) return times(repeated, anyNumberOf(body));
  return times(repeated, { ...free, factor: max - min + 1 });
}

function isUnbounded(node: RegexNode): boolean {
  switch (node.kind) {
    case 'char':
      return false;
    case 'any':
      return node.branches.some(isUnbounded);
    case 'all':
      return node.items.some(isUnbounded);
    case 'repeat':
      return node.max === Number.POSITIVE_INFINITY || isUnbounded(node.body);
    default:
      return node.body !== undefined && isUnbounded(node.body);
  }
}

function setsOf(node: RegexNode): Set<CharSet> {
  switch (node.kind) {
    case 'char':
      return new Set([node.set]);
    case 'any':
      return new Set(node.branches.flatMap((branch) => [...setsOf(branch)]));
    case 'all':
      return new Set(node.items.flatMap((item) => [...setsOf(item)]));
    default:
      return node.body ? setsOf(node.body) : new Set();
  }
}

function larger(a: RegexCost | undefined, b: RegexCost | undefined): RegexCost | undefined {
  if (!a || !b) return undefined;
  const most = a.degree > b.degree || (a.degree === b.degree && a.factor > b.factor) ? a : b;
  return { ...most, mixed: a.mixed || b.mixed };
}

/** One after the other. */
function plus(a: RegexCost | undefined, b: RegexCost | undefined): RegexCost | undefined {
  if (!a || !b) return undefined;
  const mixed = a.mixed || b.mixed;
  if (a.degree !== b.degree) return { ...(a.degree > b.degree ? a : b), mixed };
  return { degree: a.degree, factor: a.factor + b.factor, mixed };
}

/** One for each way of the other. */
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
