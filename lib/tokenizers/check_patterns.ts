import { UnsupportedError } from '../errors.js';
import { mayMatchNothing, type RegexCost, regexCost } from './check_regex.js';

type Json = Readonly<Record<string, unknown>>;

/** The components of a tokenizer.json that hold patterns, each list in the order of use. */
export interface Patterned {
  readonly normalizer: readonly Json[];
  readonly pre_tokenizer: readonly Json[];
  readonly decoder: readonly Json[];
}

/** How much text the patterns of a tokenizer surely survive. */
export interface TextLimits {
  /** Longest run of characters with or without white space. */
  readonly run: number;
  /** Longest text, or infinity. */
  readonly text: number;
}

/** Steps back that are allowed, of the 10 million that end the process. */
const maxSteps = 8_000_000;
/** Steps that are allowed in all, where a match may step back more than once over the same characters. */
const maxWork = 1e9;
/** Within a run the patterns of real tokenizers step back up to a few times its length. */
const maxRun = 2_000_000;
/** How many times longer a text may become before it is split. */
const maxGrowth = 16;

/**
 * Checks the patterns of a tokenizer, and says how long a text may be for them. Throws UnsupportedError for those that might end
 * the process: the library has no way to report that a match took too many steps, and loses count of the characters where a
 * `Replace` matches, or a `Prepend` adds, nothing.
 */
export function checkPatterns(parts: Patterned, path: string): TextLimits {
  checkNormalizers(parts.normalizer, path);
  for (const { pattern } of parts.decoder) {
    if (costOf(pattern, `${path}: decoder`).degree > 1)
      throw new UnsupportedError(`${path}: decoder: expected a simple pattern, got ${show(pattern)}`);
  }
  const costs = (['normalizer', 'pre_tokenizer'] as const).flatMap((part) =>
    parts[part].map(({ pattern }) => costOf(pattern, `${path}: ${part}`)),
  );
  let [run, text] = [maxRun, Number.POSITIVE_INFINITY];
  for (const cost of costs) {
    if (cost.mixed) text = Math.min(text, longestFor(cost));
    else run = Math.min(run, longestFor(cost));
  }
  return { run, text };
}

function longestFor({ degree, factor }: RegexCost): number {
  if (degree === 0) return Number.POSITIVE_INFINITY;
  const byMatch = (maxSteps / factor) ** (1 / degree);
  const inAll = degree === 1 ? byMatch : (maxWork / factor) ** (1 / (degree + 1));
  return Math.floor(Math.min(byMatch, inAll));
}

function costOf(pattern: unknown, where: string): RegexCost {
  const source = regexOf(pattern);
  return source === undefined ? { degree: 0, factor: 1, mixed: false } : regexCost(source, where);
}

function checkNormalizers(normalizers: readonly Json[], path: string): void {
  const where = `${path}: normalizer`;
  let growth = 1;
  for (const step of normalizers) {
    const source = regexOf(step.pattern);
    const text = (Object(step.pattern) as { String?: unknown }).String;
    const empty =
      step.prepend === '' || text === '' || (source !== undefined && mayMatchNothing(source, where));
    if (empty) throw new UnsupportedError(`${where}: expected texts that are not empty, got ${show(step)}`);
    if (typeof step.content === 'string' && step.pattern !== undefined) {
      const replaced = typeof text === 'string' ? text.length : 1;
      growth *= Math.max(1, step.content.length / replaced);
    }
    if (typeof step.prepend === 'string') growth *= Math.max(1, step.prepend.length / 4);
    if (growth > maxGrowth) {
      throw new UnsupportedError(
        `${where}: expected texts to grow at most ${maxGrowth} times, got ${show(step)}`,
      );
    }
  }
}

function regexOf(pattern: unknown): string | undefined {
  const { Regex: source } = Object(pattern) as { Regex?: unknown };
  return typeof source === 'string' ? source : undefined;
}

const show = (value: unknown): string => JSON.stringify(value).slice(0, 80);
