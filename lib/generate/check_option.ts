import { InvalidArgumentError } from '../errors.js';
import type { OptionKind, OptionSpec } from './option_table.js';

/** Largest id that fits the engine's 32-bit lists. */
const maxId = 2 ** 31 - 1;

const isInteger = (value: unknown): value is number => Number.isSafeInteger(value);
/** The engine computes with it in f32, where it must neither overflow nor vanish. */
const isFloat = (value: unknown): boolean =>
  typeof value === 'number' &&
  Number.isFinite(Math.fround(value)) &&
  (value === 0 || Math.fround(value) !== 0);
const isId = (value: unknown): boolean => isInteger(value) && value >= 0 && value <= maxId;
const isIds = (value: unknown): boolean => Array.isArray(value) && value.every(isId);
const isStop = (value: unknown): boolean => (typeof value === 'string' ? value !== '' : isId(value));

const kinds: Readonly<Record<OptionKind, readonly [string, (value: unknown) => boolean]>> = {
  int: ['an integer', isInteger],
  float: ['a finite f32 number', isFloat],
  bool: ['a boolean', (value) => typeof value === 'boolean'],
  ids: ['a token id or an array of token ids', (value) => isId(value) || isIds(value)],
  idLists: [
    'an array of non-empty arrays of token ids',
    (value) => Array.isArray(value) && value.every((ids) => isIds(ids) && (ids as unknown[]).length > 0),
  ],
  earlyStopping: ["true, false or 'never'", (value) => typeof value === 'boolean' || value === 'never'],
  stop: [
    'a non-empty string, a token id, or an array of these',
    (value) => isStop(value) || (Array.isArray(value) && value.every(isStop)),
  ],
  object: ['an object', (value) => typeof value === 'object' && value !== null],
};

/** A value as it stands in a message. */
export function show(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  const text =
    typeof value === 'object'
      ? JSON.stringify(value)
      : typeof value === 'string'
        ? `"${value}"`
        : String(value);
  return `${text.length > 60 ? `${text.slice(0, 57)}…` : text} of type ${value === null ? 'null' : typeof value}`;
}

/** Why `value` is no value of the option; undefined if it is one. */
export function optionFault({ kind, min, above, ...spec }: OptionSpec, value: unknown): string | undefined {
  const [expected, fits] = kinds[kind];
  if (!fits(value)) return `expected ${expected}, got ${show(value)}`;
  if (typeof value !== 'number' || kind === 'ids' || kind === 'stop') return undefined;
  const tooLow = min !== undefined && (above ? value <= min : value < min);
  const tooHigh = value > (spec.max ?? (kind === 'int' ? maxId : Number.POSITIVE_INFINITY));
  if (!tooLow && !tooHigh) return undefined;
  const max = spec.max ?? (tooHigh ? maxId : undefined);
  const range = [
    min === undefined ? '' : `${above ? 'above' : 'at least'} ${min}`,
    max === undefined ? '' : `at most ${max}`,
  ];
  return `expected ${range.filter(Boolean).join(' and ')}, got ${value}`;
}

/** Ids of an option, all within the vocabulary. Throws {@link InvalidArgumentError}. */
export function expectIds(name: string, ids: readonly number[], vocabulary: number): void {
  for (const id of ids) {
    if (id >= vocabulary) {
      throw new InvalidArgumentError(
        `generate: expected ids of option "${name}" below the vocabulary's ${vocabulary}, got ${id}`,
      );
    }
  }
}
