import { InvalidArgumentError } from '../errors.js';
import { checkCount } from './document_options.js';
import type { Split } from './manifest.js';
import { mixWords, seedWords } from './mix.js';

export interface SplitOptions {
  /** Share of documents that are held back for validation, at least 0 and below 1. Default 0. */
  readonly validation?: number | undefined;
  /** Chooses them. Default 0. */
  readonly seed?: number | undefined;
}

export interface SplitRule {
  readonly validation: number;
  readonly seed: number;
  /** Where a document goes: a pure function of the seed and its text, whatever else there is and in whatever order. */
  splitOf(hash: Uint32Array): Split;
}

/** Checks the options of the function `where`. Throws InvalidArgumentError. */
export function splitRule(where: string, options: SplitOptions): SplitRule {
  const { validation = 0 } = options;
  if (typeof validation !== 'number' || !(validation >= 0 && validation < 1))
    throw new InvalidArgumentError(
      `${where}: expected validation to be a share from 0 to below 1, got ${String(validation)}`,
    );
  const seed = checkCount(where, 'seed', options.seed ?? 0, 0, Number.MAX_SAFE_INTEGER);
  const key = seedWords(seed);
  return {
    validation,
    seed,
    splitOf: (hash) => (mixWords(...key, ...hash) < validation * 2 ** 32 ? 'validation' : 'train'),
  };
}
